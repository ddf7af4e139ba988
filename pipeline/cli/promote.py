"""Floor 5, `release promote`: moves a release through its waves. Running it again is how it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.carry_out import Signals, conclude, stopping
from pipeline.cli.console import Settings, heard, streamed, tell
from pipeline.cli.names import a_release
from pipeline.compose import Held, House
from pipeline.engine.loop import Until
from pipeline.errors import FenceLost, NotFound, UsageError
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.plan import Plan, plan_digest
from pipeline.model.release_event import Lane
from pipeline.model.run_state import ENDED, Run
from pipeline.views.text import plain
from stages.lanes import ask_lane, refuse_unapproved
from stages.plan import read_plan_document
from stages.promote import active_release, read_run, refuse_without_evidence
from stages.rollback import as_halted


def register(app: typer.Typer) -> None:
    app.command("promote")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION, or a plan written by `release plan -o`.")],
    until: Annotated[
        str, typer.Option(help="blocked: come back at a bake; done; wave:N: once wave N has passed.")
    ] = "blocked",
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Skip what is left of bakes and judging, once somebody else has approved it."
        ),
    ] = False,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Cut bakes short, once somebody else has approved it.")
    ] = False,
    reason: Annotated[
        str, typer.Option(help="With --full or --emergency: why; it stands in the journal.")
    ] = "",
    ticket: Annotated[str, typer.Option(help="With --emergency: the incident's ticket.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
    as_stream: Annotated[
        bool, typer.Option("--json-stream", help="Every event on stdout as it happens, one line each.")
    ] = False,
) -> None:
    """Move a release through its waves: the service's account, the canary, then the rest."""
    settings: Settings = context.obj
    house = House(settings.project, streamed if as_stream else heard, tell)
    how_far = _until(until)
    _refuse_two_forms(as_json=as_json, as_stream=as_stream)
    hurry = _hurry(full, emergency, reason, ticket)
    plan = _plan(house, release)
    _check_wave(plan, how_far)
    if hurry is None and _is_finished(house, plan):
        finished = Ending(kind=EndingKind.SUCCEEDED)
        conclude(house, plan, finished, Signals(), as_json=as_json, quiet=as_stream)
        return
    with stopping() as signals, house.holding(plan.release.service) as held:
        _tell_who_gives_way(house, plan)
        if hurry is not None:
            _hurried(house, plan, hurry, held)
        try:
            ending = house.promote(plan, held, how_far)
        except FenceLost as lost:
            raise _overtaken(house, plan, lost) from None
    conclude(house, plan, ending, signals, as_json=as_json, quiet=as_stream)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hurry:
    lane: Lane
    reason: str
    ticket: str


def _hurry(full: bool, emergency: bool, reason: str, ticket: str) -> _Hurry | None:
    if not full and not emergency:
        if not reason and not ticket:
            return None
        problem = "--reason and --ticket are for --full and --emergency"
    elif full and emergency:
        problem = "--full and --emergency are two ways to hurry"
    elif not reason.strip() or (emergency and not ticket.strip()):
        problem = "--full wants --reason TEXT; --emergency wants --reason TEXT and --ticket ID"
    else:
        lane = Lane.FULL if full else Lane.EMERGENCY
        return _Hurry(lane=lane, reason=reason.strip(), ticket=ticket.strip())
    raise UsageError(problem, state="nothing was done", remedy="see `release promote --help`")


def _refuse_two_forms(*, as_json: bool, as_stream: bool) -> None:
    if as_json and as_stream:
        raise UsageError(
            "--json is one document and --json-stream one line for each event: stdout is for one of them",
            state="nothing was done",
            remedy="name one of them; `release status --json` prints the document afterwards",
        )


def _tell_who_gives_way(house: House, plan: Plan) -> None:
    """Another release that stands still is ended by this one: whoever promotes has to hear of that first."""
    active = active_release(house.store.journal, plan.release.service)
    if active is None or active[0] == plan.release:
        return
    other, run = active[0], as_halted(active[1], house.store.latch.read(str(active[0])))
    if run.run in (Run.HALTED, Run.PAUSED):
        why = plain(run.halted_because if run.run is Run.HALTED else run.paused_because)
        tell(
            f"{other} is {run.run} ({why}) and gives way: what it has reached stays as it is until this release comes"
        )


def _is_finished(house: House, plan: Plan) -> bool:
    """Nothing is left to do, so that neither a lease nor AWS is needed to say so."""
    run = read_run(house.store.journal, plan.release)
    return run.run is Run.SUCCEEDED and run.plan == plan_digest(plan)


def _overtaken(house: House, plan: Plan, lost: FenceLost) -> FenceLost:
    """Whoever was pre-empted by a rollback hears of that, rather than of fences."""
    run = read_run(house.store.journal, plan.release)
    if run.run is not Run.ROLLING_BACK or run.rollback is None:
        return lost
    return FenceLost(
        f"this promotion was stopped by a rollback that {run.rollback.by} has ordered: {run.rollback.reason}",
        state="what was in flight is waited for and put back by that rollback; this runner starts nothing more",
        remedy=f"see `release status {plan.release}`",
    )


def _hurried(house: House, plan: Plan, hurry: _Hurry, held: Held) -> None:
    """What is asked for is written down and told; ApprovalMissing until somebody else has approved it."""
    house.admit(plan, held)
    journal = house.store.journal
    run = ask_lane(plan, hurry.lane, hurry.reason, hurry.ticket, journal, held.admission)
    refuse_unapproved(plan, run, house.clock)
    assert run.lane_asked is not None, "it has just been asked for"
    for line in run.lane_asked.skips:
        tell(f"skipped: {line}")


def _until(text: str) -> Until:
    if text == "blocked":
        return Until(blocked=True)
    if text == "done":
        return Until(blocked=False)
    kind, colon, number = text.partition(":")
    if kind == "wave" and colon and number.isdecimal():
        return Until(blocked=False, wave=int(number))
    raise UsageError(
        f"--until {text!r} means nothing", state="nothing was done", remedy="write blocked, done or wave:N"
    )


def _check_wave(plan: Plan, how_far: Until) -> None:
    if how_far.wave is None:
        return
    try:
        plan.wave_numbered(how_far.wave)
    except KeyError:
        known = ", ".join(f"{wave.number} ({wave.name})" for wave in plan.waves)
        raise UsageError(
            f"{plan.release} has no wave {how_far.wave}: its waves are {known}",
            state="nothing was done",
            remedy="name one of them, or write --until done",
        ) from None


def _plan(house: House, text: str) -> Plan:
    """The plan under way; else the plan of the file; else a new one."""
    if text.endswith(".json") or Path(text).is_file():
        path = Path(text)
        if not path.is_file():
            raise NotFound(
                f"there is no plan {text}", remedy="make one with `release plan RELEASE -o plan.json`"
            )
        return read_plan_document(path.read_bytes(), house.artifacts())
    release = a_release(text)
    run = read_run(house.store.journal, release)
    fixed = house.fixed_plan(release)
    if fixed is not None:
        if run.run in ENDED:
            tell(f"{release} is {run.run} already; a new plan (release plan -o) would start it anew")
        return fixed
    refuse_without_evidence(release, run.digest, run)
    tell(f"planning {release}")
    plan = house.plan(release)
    for skipped in plan.skipped:
        tell(f"left out: {skipped.id} {plain(skipped.reason)}")
    return plan
