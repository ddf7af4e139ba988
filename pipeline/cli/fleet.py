"""Floor 5, `release fleet`: client by service, what each should run and what its account says it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result, result_json
from pipeline.compose import House
from pipeline.views.fleet import fleet_json, fleet_text


def register(app: typer.Typer) -> None:
    app.command("fleet")(command)


def command(
    context: typer.Context,
    live: Annotated[bool, typer.Option("--live", help="Ask every account instead of the journal.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """Show the whole fleet: intended and observed release of every service at every client."""
    settings: Settings = context.obj
    rows = House(settings.project).fleet_rows(live=live)
    if as_json:
        result_json(fleet_json(rows))
    else:
        result(fleet_text(rows))
