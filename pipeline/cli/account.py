"""Floor 5, `release account list`: the accounts the registry knows. Addresses are never shown."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result, result_json
from pipeline.compose import House
from pipeline.errors import UsageError
from pipeline.views.text import plain, table

KINDS = ("client", "service", "test", "tools")

account = typer.Typer(no_args_is_help=True, help="The accounts that Tidegate made or was given.")


def register(app: typer.Typer) -> None:
    app.add_typer(account, name="account")


@account.callback()
def _group() -> None:
    """So that `list` stays a word of its own."""


@account.command("list")
def show(
    context: typer.Context,
    kind: Annotated[str, typer.Option(help="client, service, tools or test; all by default.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """List names, kinds, account ids and, of test accounts, states."""
    settings: Settings = context.obj
    if kind not in ("", *KINDS):
        raise UsageError(
            f"there is no kind {kind!r}", state="nothing was done", remedy=f"write one of: {', '.join(KINDS)}"
        )
    rows = House(settings.project).store.registry.rows(kind)
    if as_json:
        accounts = [
            {
                "name": r.name,
                "kind": r.kind,
                "account": r.account,
                "state": r.state or None,
                "note": r.note or None,
            }
            for r in rows
        ]
        result_json({"format_version": 1, "accounts": accounts})
        return
    cells = [(r.name, r.kind, r.account or "none yet", r.state or "·", plain(r.note)) for r in rows]
    result("\n".join(table(("name", "kind", "account", "state", "note"), cells)))
