"""Floor 5, `release pause`: a word in the release's journal that every runner reads before its next step."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result
from pipeline.cli.names import a_reason, a_release, the_plan_under_way
from pipeline.compose import House
from pipeline.views.text import moment, plain
from stages.pause import pause


def register(app: typer.Typer) -> None:
    app.command("pause")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the journal.")],
) -> None:
    """Start nothing more for now. What is in flight and what bakes goes on; if nobody resumes in time, it halts."""
    settings: Settings = context.obj
    reason = a_reason(reason)
    house = House(settings.project)
    name = a_release(release)
    plan = the_plan_under_way(house.fixed_plan(name), name)
    actor = house.actor_perhaps_unproven
    run = pause(plan, reason, actor, house.store.journal, house.store.latch, house.clock)
    until = f" until {moment(run.waiting_until)}, and is halted then" if run.waiting_until else ""
    result(
        f"{name} is paused by {run.paused_by}{until}: {plain(run.paused_because)}\n\n"
        f"next: release resume {name} --reason …"
    )
