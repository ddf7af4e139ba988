"""Floor 5, `release bootstrap`: Tidegate's own accounts, units and roles, before any release."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result, tell
from pipeline.compose import House, found


def register(app: typer.Typer) -> None:
    app.command("bootstrap")(command)


def command(
    context: typer.Context,
    scope: Annotated[str, typer.Argument(help="management, tools, service, client, test or all")],
    name: Annotated[str, typer.Argument(help="Of the service or client.")] = "",
) -> None:
    """Make accounts where the fleet has none, deploy Tidegate's roles, and fill in fleet.toml. Repeatable."""
    settings: Settings = context.obj
    done = found(House(settings.project), scope, name, tell)
    for line in done.outside:
        tell(f"outside the organisation, for its owner to deploy: {line}")
    changes = len(done.did) + len(done.filled)
    result(f"{changes} changes\n\nnext: release build SERVICE" if changes else "everything stands already")
