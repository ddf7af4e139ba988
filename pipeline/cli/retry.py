"""Floor 5, `release retry`: failed and unknown targets once more, with the same digest."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result
from pipeline.cli.names import a_reason, a_release, a_target, the_plan_under_way
from pipeline.compose import House
from pipeline.views.text import count
from stages.retry import retry


def register(app: typer.Typer) -> None:
    app.command("retry")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION")],
    reason: Annotated[str, typer.Option(help="Why it should work now; it stands in the journal.")],
    target: Annotated[
        list[str] | None, typer.Option(help="Only this one, CLIENT/REGION; may be given several times.")
    ] = None,
) -> None:
    """Try failed and unknown targets again with the same digest, as a new attempt; promote then goes on."""
    settings: Settings = context.obj
    reason = a_reason(reason)
    house = House(settings.project)
    name = a_release(release)
    plan = the_plan_under_way(house.fixed_plan(name), name)
    only = [a_target(text) for text in target or []]
    with house.holding(name.service) as held:
        store = house.store
        targets = retry(plan, only, reason, store.journal, store.latch, held.admission)
    result(f"{count(len(targets), 'target')} of {name} may be tried again\n\nnext: release promote {name}")
