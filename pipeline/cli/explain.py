"""Floor 5, `release explain`: the numbers behind every verdict of a run, and whether they still give it."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result, result_json
from pipeline.cli.names import a_release
from pipeline.compose import House
from pipeline.errors import IntegrityBroken, NotFound, UsageError
from pipeline.model.plan import Plan
from pipeline.views.explain import explain_json, explain_text
from stages.explain import ExplainRequest, explain


def register(app: typer.Typer) -> None:
    app.command("explain")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION")],
    wave: Annotated[int | None, typer.Option(help="Only this wave.")] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Judge again from the kept evidence; exit 7 where it differs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """Show the numbers behind every verdict, and what opened, refused or halted."""
    settings: Settings = context.obj
    house = House(settings.project)
    name = a_release(release)
    plan = house.fixed_plan(name)
    if plan is None:
        raise NotFound(f"{name} has never been promoted", remedy=f"run `release promote {name}`")
    request = ExplainRequest(plan=plan, wave=_place(plan, wave), replay=replay)
    explanation = explain(request, house.store.journal, lambda digest: house.artifacts().get(digest))
    if as_json:
        result_json(explain_json(explanation))
    else:
        result(explain_text(explanation))
    changed = [look for look in explanation.looks if look.same is False]
    if changed:
        raise IntegrityBroken(
            f"{len(changed)} of {len(explanation.looks)} verdicts of {name} do not follow from their evidence",
            state="nothing was changed",
            remedy="compare the version that judged with this one; `release audit verify` proves the journal",
        )


def _place(plan: Plan, wave: int | None) -> int | None:
    try:
        return None if wave is None else plan.wave_numbered(wave)
    except KeyError:
        raise UsageError(
            f"the plan of {plan.release} has no wave {wave}",
            state="nothing was done",
            remedy=f"name one of {', '.join(str(w.number) for w in plan.waves)}",
        ) from None
