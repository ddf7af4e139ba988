"""Floor 5, `release status`: where a release stands, from the journal alone; no AWS call but for the stored plan."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from pipeline.cli.console import Settings, result, result_json
from pipeline.cli.names import a_release, newest_release
from pipeline.compose import House
from pipeline.errors import NotFound
from pipeline.model.ids import ReleaseName
from pipeline.model.run_state import ENDED, Run
from pipeline.views.status import status_json, status_text
from stages.promote import read_run, read_targets
from stages.rollback import as_halted

_EVERY_SECONDS = 2


def register(app: typer.Typer) -> None:
    app.command("status")(command)


def command(
    context: typer.Context,
    release: Annotated[
        str,
        typer.Argument(
            help="SERVICE@VERSION, or SERVICE for its newest release; the newest of all by default."
        ),
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Again every two seconds, until it ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """Show the waves, the targets that need somebody, and the next command to type."""
    settings: Settings = context.obj
    house = House(settings.project)
    name = a_release(release) if "@" in release else newest_release(house.store.journal, release)
    if name is None:
        of = f" of a service {release}" if release else ""
        raise NotFound(f"nothing{of} has been released yet", remedy="begin with `release build`")
    while True:
        state = _show(house, name, as_json=as_json)
        if not watch or state in ENDED or state is Run.HALTED:
            return
        time.sleep(_EVERY_SECONDS)


def _show(house: House, name: ReleaseName, *, as_json: bool) -> Run:
    journal = house.store.journal
    run = as_halted(read_run(journal, name), house.store.latch.read(str(name)))
    plan = house.fixed_plan(name)
    targets = read_targets(journal, plan) if plan is not None else {}
    now = house.clock.now()
    if as_json:
        result_json(status_json(name, plan, run, targets, now))
    else:
        result(status_text(name, plan, run, targets, now))
    return run.run
