"""Floor 5, `release promote`: moves a release through its waves. Running it again is how it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.carry_out import conclude, stopping
from pipeline.cli.console import Settings, heard, streamed, tell
from pipeline.cli.names import a_release
from pipeline.compose import House
from pipeline.engine.loop import Until
from pipeline.errors import NotFound, UsageError
from pipeline.model.plan import Plan
from pipeline.model.run_state import ENDED
from pipeline.views.text import plain
from stages.plan import read_plan_document
from stages.promote import read_run, refuse_without_evidence


def register(app: typer.Typer) -> None:
    app.command("promote")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION, or a plan written by `release plan -o`.")],
    until: Annotated[
        str, typer.Option(help="blocked: come back at a bake; done; wave:N: once wave N has passed.")
    ] = "blocked",
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
    as_stream: Annotated[
        bool, typer.Option("--json-stream", help="Every event on stdout as it happens, one line each.")
    ] = False,
) -> None:
    """Move a release through its waves: the service's account, the canary, then the rest."""
    settings: Settings = context.obj
    house = House(settings.project, streamed if as_stream else heard, tell)
    how_far = _until(until)
    plan = _plan(house, release)
    _check_wave(plan, how_far)
    with stopping() as signals, house.holding(plan.release.service) as held:
        ending = house.promote(plan, held, how_far)
    conclude(house, plan, ending, signals, as_json=as_json, quiet=as_stream)


def _until(text: str) -> Until:
    if text == "blocked":
        return Until(blocked=True)
    if text == "done":
        return Until(blocked=False)
    kind, colon, number = text.partition(":")
    if kind == "wave" and colon and number.isdecimal():
        return Until(blocked=False, wave=int(number))
    raise UsageError(
        f"--until {text!r} means nothing", state="nothing was done", remedy="write blocked, done or wave:N"
    )


def _check_wave(plan: Plan, how_far: Until) -> None:
    if how_far.wave is None:
        return
    try:
        plan.wave_numbered(how_far.wave)
    except KeyError:
        known = ", ".join(f"{wave.number} ({wave.name})" for wave in plan.waves)
        raise UsageError(
            f"{plan.release} has no wave {how_far.wave}: its waves are {known}",
            state="nothing was done",
            remedy="name one of them, or write --until done",
        ) from None


def _plan(house: House, text: str) -> Plan:
    """The plan under way; else the plan of the file; else a new one."""
    if text.endswith(".json") or Path(text).is_file():
        path = Path(text)
        if not path.is_file():
            raise NotFound(
                f"there is no plan {text}", remedy="make one with `release plan RELEASE -o plan.json`"
            )
        return read_plan_document(path.read_bytes(), house.artifacts())
    release = a_release(text)
    run = read_run(house.store.journal, release)
    fixed = house.fixed_plan(release)
    if fixed is not None:
        if run.run in ENDED:
            tell(f"{release} is {run.run} already; a new plan (release plan -o) would start it anew")
        return fixed
    refuse_without_evidence(release, run.digest, run)
    tell(f"planning {release}")
    plan = house.plan(release)
    for skipped in plan.skipped:
        tell(f"left out: {skipped.id} {plain(skipped.reason)}")
    return plan
