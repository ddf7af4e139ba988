"""Floor 5, `release resume`: a named person opens the latch, with a reason."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, heard, result
from pipeline.cli.names import a_reason, a_release
from pipeline.compose import House
from pipeline.errors import UsageError
from pipeline.model.run_state import ENDED
from stages.rollback import resume


def register(app: typer.Typer) -> None:
    app.command("resume")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION")],
    reason: Annotated[str, typer.Option(help="Why it may go on; it stands in the journal.")],
) -> None:
    """Let a halted release go on. What has failed so far is accepted and stays as it is."""
    settings: Settings = context.obj
    reason = a_reason(reason)
    house = House(settings.project, heard)
    name = a_release(release)
    plan = house.fixed_plan(name)
    if plan is None:
        raise UsageError(
            f"{name} was never promoted", state="nothing was changed", remedy=f"run `release promote {name}`"
        )
    with house.holding(name.service) as held:
        run = resume(plan, reason, house.store.journal, house.store.latch, held.admission)
    if run.run in ENDED:
        result(f"the halt is lifted; {name} is {run.run}\n\nnext: release plan {name} -o plan.json")
    else:
        result(f"{name} may go on\n\nnext: release promote {name}")
