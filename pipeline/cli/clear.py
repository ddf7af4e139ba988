"""Floor 5, `release clear`: a person has looked at a quarantined target and lets releases come to it again."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result
from pipeline.cli.names import a_reason, a_target
from pipeline.compose import House
from stages.rollback import choose_skips, clear


def register(app: typer.Typer) -> None:
    app.command("clear")(command)


def command(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="The service whose stack was looked at.")],
    target: Annotated[str, typer.Argument(help="CLIENT/REGION")],
    reason: Annotated[str, typer.Option(help="What was found; it stands in the journal.")],
    skip: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LOGICAL_ID",
            help="Let a stuck rollback go on without this resource, which differs from its template from then on; may"
            " be given several times.",
        ),
    ] = None,
) -> None:
    """Take a target out of quarantine, once a person has looked at its stack."""
    settings: Settings = context.obj
    reason = a_reason(reason)
    house = House(settings.project)
    wanted = a_target(target)
    if skip:
        with house.holding(service) as held:
            choose_skips(service, wanted, skip, reason, house.store.journal, held.admission)
        result(
            f"the rollback at {wanted} may go on without {', '.join(skip)}\n\n"
            f"next: release rollback RELEASE --target {wanted} --reason TEXT"
        )
        return
    with house.holding(service) as held:
        clear(service, wanted, reason, house.store.journal, held.admission)
    result(f"{wanted} is out of quarantine: the next plan of {service} takes it in")
