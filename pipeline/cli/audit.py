"""Floor 5, `release audit verify`: the journal's hash chains, every stream of them, and the signatures over heads."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result
from pipeline.compose import House
from pipeline.compose.auditing import audited
from pipeline.views.text import count

audit = typer.Typer(no_args_is_help=True, help="Prove that nothing in the journal was changed.")


def register(app: typer.Typer) -> None:
    app.add_typer(audit, name="audit")


@audit.callback()
def _group() -> None:
    """So that `verify` stays a word of its own."""


@audit.command("verify")
def verify(
    context: typer.Context,
    offline: Annotated[
        bool, typer.Option("--offline", help="Check the chains only, without asking KMS about signatures.")
    ] = False,
) -> None:
    """Read every stream, check its chain and the signed heads; exit 7 names the first broken link."""
    settings: Settings = context.obj
    found = audited(House(settings.project), signatures=not offline)
    told = f"{count(found.events, 'event')} in {count(found.streams, 'stream')}: every chain holds"
    if offline:
        result(told)
    elif not found.signatures:
        result(f"{told}; no heads have been signed yet, so an end that was cut off would not show")
    else:
        behind = (
            f"{count(found.behind, 'event')} came after the signature"
            if found.behind
            else "nothing came later"
        )
        result(
            f"{told}\nevery signature over heads holds: {found.signatures}; streams not signed yet: {found.unsigned};"
            f" in the signed ones {behind}"
        )
