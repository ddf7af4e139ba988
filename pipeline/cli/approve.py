"""Floor 5, `release approve`: somebody else's yes to what waits, from a terminal or from a review on GitHub."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from pipeline.cli.console import Settings, ask, result, tell
from pipeline.cli.names import a_release, the_plan_under_way
from pipeline.compose import House
from pipeline.decide.approvals import lane_subject, wave_subject
from pipeline.errors import UsageError
from pipeline.model.plan import Plan, plan_digest
from pipeline.model.release_event import Lane
from pipeline.model.run_state import RunState
from pipeline.views.text import moment, short
from stages.approve import Approver, approve, refuse_without_weight, reviewer, the_one_waiting
from stages.promote import read_run


def register(app: typer.Typer) -> None:
    app.command("approve")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION")],
    wave: Annotated[int | None, typer.Option(help="This wave, also before its turn has come.")] = None,
    lane: Annotated[
        Lane | None, typer.Option(help="A promotion in a hurry that somebody has asked for.")
    ] = None,
    github: Annotated[
        str,
        typer.Option(
            metavar="ENVIRONMENT",
            help="In a job of a GitHub workflow: take the approval from a review of this environment.",
        ),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Approve what waits: a wave or a lane. Bound to the plan, for a while; never by whoever began the run."""
    settings: Settings = context.obj
    house = House(settings.project)
    name = a_release(release)
    plan = the_plan_under_way(house.fixed_plan(name), name)
    journal = house.store.journal
    run = read_run(journal, name)
    subject = _subject(house, plan, run, wave, lane)
    who = _approver(house, plan, subject, github)
    refuse_without_weight(plan, run, subject, who.identity)
    for line in run.lane_asked.skips if run.lane_asked is not None and subject.startswith("lane:") else ():
        tell(f"would skip {line}")
    if not yes and not github:
        kind, _, value = subject.partition(":")
        question = f"Approve {subject} of {name}, plan {short(plan_digest(plan))}, as {who.identity}?"
        ask(question, settings, ("approve", str(name), f"--{kind}", value))
    run = approve(plan, subject, who, journal, house.clock)
    result(_told(run, subject, name=str(name)))


def _subject(house: House, plan: Plan, run: RunState, wave: int | None, lane: Lane | None) -> str:
    if wave is not None and lane is not None:
        raise UsageError(
            "one approval is for one thing: a wave or a lane",
            state="nothing was approved",
            remedy="name one of --wave and --lane",
        )
    if wave is not None:
        return wave_subject(wave)
    if lane is not None:
        return lane_subject(lane)
    return the_one_waiting(plan, run, house.clock.now()).subject


def _approver(house: House, plan: Plan, subject: str, github: str) -> Approver:
    if not github:
        return Approver(identity=house.actor, actor=house.actor)
    from pipeline.adapters.github import reviews_of_this_run

    return reviewer(plan, subject, github, reviews_of_this_run(os.environ), house.actor)


def _told(run: RunState, subject: str, *, name: str) -> str:
    given = next(a.given for a in reversed(run.approvals) if a.given.subject == subject)
    return (
        f"{subject} of {name} is approved by {given.by} until {moment(given.expires)}\n\n"
        f"next: release promote {name}"
    )
