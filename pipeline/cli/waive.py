"""Floor 5, `release waive`: a person answers for one thing that the guard blocks, in writing and for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from pipeline.cli.console import Settings, result
from pipeline.cli.names import a_reason, a_release
from pipeline.compose import House
from pipeline.compose.waiving import WaiverWish, sign_waiver
from pipeline.errors import NotFound, UsageError
from pipeline.model.fleet import Fleet
from pipeline.model.ids import Digest, digest
from pipeline.model.waiver import ANY_PHYSICAL_ID
from stages.waive import MAX_LIFE


def register(app: typer.Typer) -> None:
    app.command("waive")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION")],
    resource: Annotated[str, typer.Option(help="Logical id, as the finding names it.")],
    rule: Annotated[str, typer.Option(help="What may be done to it: removal, replacement, property:NAME, …")],
    reason: Annotated[str, typer.Option(help="Why the loss is accepted; it stands in the waiver.")],
    client: Annotated[str, typer.Option(help="One client, or @SERVICE for the service's own account.")] = "",
    group: Annotated[str, typer.Option(help="Digest of an effect group, in place of one client.")] = "",
    physical_id: Annotated[
        str, typer.Option(help="The very resource in the account; may be left out for a group.")
    ] = "",
    days: Annotated[int, typer.Option(min=1, max=MAX_LIFE.days, help="How long it holds.")] = 7,
) -> None:
    """Answer for one change that the guard blocks: signed, for exactly one resource, and for a while."""
    settings: Settings = context.obj
    name = a_release(release)
    wish = WaiverWish(
        release=name,
        client=client,
        effect=_effect(client, group),
        logical_id=resource,
        physical_id=physical_id or ("" if client else ANY_PHYSICAL_ID),
        rule=rule,
        reason=a_reason(reason),
        life=timedelta(days=days),
    )
    house = House(settings.project)
    _refuse_unknown(house.fleet, name.service, client)
    waiver, path = sign_waiver(house, wish)
    result(
        f"{path.parent.name}/{path.name} lets {name} pass over {waiver.rule} of {waiver.logical_id} until"
        f" {waiver.expires:%Y-%m-%d %H:%M} UTC, approved by {waiver.approver}\n\n"
        "A stack that is protected refuses it all the same until a person with TidegateRepair has changed its stack"
        f" policy.\n\nnext: release plan {name}"
    )


def _refuse_unknown(fleet: Fleet, service: str, client: str) -> None:
    """A waiver for a misspelt client would be signed, kept and never cover anything."""
    known = (f"@{service}", *(one.name for one in fleet.clients))
    if client and client not in known:
        raise NotFound(
            f"fleet.toml knows no client {client}",
            state="nothing was signed",
            remedy=f"name one of {', '.join(known)}",
        )


def _effect(client: str, group: str) -> Digest | None:
    if bool(client) == bool(group):
        raise UsageError(
            "a waiver is for one client or for one effect group",
            state="nothing was signed",
            remedy="write either --client NAME or --group DIGEST",
        )
    try:
        return digest(group) if group else None
    except ValueError as fault:
        raise UsageError(
            str(fault), state="nothing was signed", remedy="take the digest that `release plan` shows"
        ) from None
