"""Floor 5, `release halt`: one conditional write that every runner reads before its next step."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result
from pipeline.cli.names import a_reason, a_release
from pipeline.compose import House
from pipeline.views.text import plain
from stages.rollback import halt


def register(app: typer.Typer) -> None:
    app.command("halt")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the journal.")],
) -> None:
    """Stop starting anything. What is in flight runs to its end; nothing is rolled back."""
    settings: Settings = context.obj
    reason = a_reason(reason)
    house = House(settings.project)
    name = a_release(release)
    standing = halt(name, reason, house.actor_perhaps_unproven, house.store.journal, house.store.latch)
    result(
        f"{name} is halted by {standing.actor} since {standing.at:%Y-%m-%d %H:%M:%S} UTC: {plain(standing.reason)}\n\n"
        f"next: release status {name}; then `release resume {name} --reason …` or"
        f" `release rollback {name} --all --reason …`"
    )
