"""Floor 5, `release resume`: a named person ends a halt or a pause, or decides what the judge could not tell."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, heard, result
from pipeline.cli.names import a_reason, a_release, the_plan_under_way
from pipeline.compose import House
from pipeline.model.ids import ReleaseName
from pipeline.model.plan import Plan
from pipeline.model.run_state import ENDED, Run, RunState
from pipeline.views.text import WIDTH, cut, plain
from stages.pause import decide_wave, resume_pause, undecided_wave
from stages.promote import read_run, read_targets
from stages.rollback import resume


def register(app: typer.Typer) -> None:
    app.command("resume")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION")],
    reason: Annotated[str, typer.Option(help="Why it may go on; it stands in the journal.")],
    evidence: Annotated[
        str,
        typer.Option(
            help="Of a wave that the judge could not tell of: the digest of the evidence you have seen, or its"
            " first 12 digits."
        ),
    ] = "",
) -> None:
    """Let a halted, paused or undecided release go on. What has failed so far is accepted and stays as it is."""
    settings: Settings = context.obj
    reason = a_reason(reason)
    house = House(settings.project, heard)
    name = a_release(release)
    plan = the_plan_under_way(house.fixed_plan(name), name)
    before = read_run(house.store.journal, name)
    run = _resumed(house, plan, reason, evidence)
    accepted = _accepted(house, plan, before, run)
    result(accepted + _told(name, plan, run))


def _resumed(house: House, plan: Plan, reason: str, evidence: str) -> RunState:
    """A halt ends under the lease; what a runner merely waits for is said beside it."""
    journal, latch = house.store.journal, house.store.latch
    run = read_run(journal, plan.release)
    waits = run.run is Run.PAUSED and latch.read(str(plan.release)) is None
    if evidence or (waits and undecided_wave(run) is not None):
        return decide_wave(plan, reason, evidence, house.actor, journal)
    if waits:
        return resume_pause(plan, reason, house.actor, journal)
    with house.holding(plan.release.service) as held:
        return resume(plan, reason, journal, latch, held.admission)


def _accepted(house: House, plan: Plan, before: RunState, run: RunState) -> str:
    """What this resume has accepted as it is, a line each: a halt for one reason may cover another."""
    states = read_targets(house.store.journal, plan)
    lines = [
        f"accepted as it is: {t} {states[t].phase} {plain(states[t].reason)}".rstrip()
        for t in sorted(set(run.forgiven) - set(before.forgiven))
    ]
    return "".join(f"{cut(line, WIDTH)}\n" for line in lines)


def _told(name: ReleaseName, plan: Plan, run: RunState) -> str:
    if run.run in ENDED:
        return f"the halt is lifted; {name} is {run.run}\n\nnext: release plan {name} -o plan.json"
    undecided = undecided_wave(run)
    if undecided is not None:
        wave = plan.waves[undecided].name
        return f"the halt is lifted; {wave} still waits for a decision\n\nnext: release promote {name}"
    return f"{name} may go on\n\nnext: release promote {name}"
