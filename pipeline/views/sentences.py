"""Floor 2, views: one sentence for each event of the journal. Pure.

Every kind of event has its sentence: a new one that has none does not pass the type checker.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from pipeline.model import event as e
from pipeline.model.plan import Plan
from pipeline.views.target_sentences import target_sentence
from pipeline.views.text import count, listed, moment, plain, short

__all__ = ["sentence"]


def sentence(event: e.Event, plan: Plan | None = None) -> str:
    """One line for a person; wave names come from the plan where it is at hand."""
    text = _release(event, plan) if isinstance(event, e.ReleaseEvent) else target_sentence(event)
    return plain(text)


def _wave(number: int, plan: Plan | None) -> str:
    return plan.waves[number].name if plan and 0 <= number < len(plan.waves) else f"wave {number}"


def _release(event: e.ReleaseEvent, plan: Plan | None) -> str:
    match event:
        case e.ReleaseBuilt():
            return f"built from commit {event.commit[:12]} as {short(event.digest)}"
        case e.ReleaseTested(evidence=proof):
            tests = f"{proof.passed} passed, {proof.failed} failed, {proof.skipped} skipped"
            return f"tested in {count(len(proof.accounts), 'account')}: {tests}"
        case e.PlanFixed():
            return f"a run began: plan {short(event.plan)}, {count(event.waves, 'wave')}"
        case e.RunHalted() | e.RunPaused() | e.RunResumed() | e.RetryOrdered() | e.RollbackOrdered():
            return _of_person(event, plan)
        case e.LaneAsked() | e.ApprovalGiven():
            return _of_two(event)
        case e.PreflightDone():
            over = (
                f", passing over {_targets([p.target for p in event.passed_over])}"
                if event.passed_over
                else ""
            )
            noted = f"; noted: {'; '.join(event.notes)}" if event.notes else ""
            return f"every account was looked at{over}{noted}"
        case e.FollowUpScheduled():
            return f"what was hurried gets a last look at {moment(event.until)}"
        case e.HeadsSigned():
            return f"the heads of {count(len(event.heads), 'stream')} were signed"
        case e.RunEnded():
            return f"the run ended: {event.outcome.value}"
        case _:
            return _of_wave(event, plan)


def _of_person(
    event: e.RunHalted | e.RunPaused | e.RunResumed | e.RetryOrdered | e.RollbackOrdered, plan: Plan | None
) -> str:
    match event:
        case e.RunHalted():
            return f"halted by {event.by}: {event.reason}"
        case e.RunPaused():
            return f"paused by {event.by} until {moment(event.deadline)}: {event.reason}"
        case e.RunResumed():
            forgiven = f", accepting {_targets(event.forgiven)}" if event.forgiven else ""
            return f"resumed: {event.reason}{forgiven}"
        case e.RetryOrdered():
            return f"{_targets(event.targets)} may be tried again: {event.reason}"
        case e.RollbackOrdered():
            return _rollback(event, plan)
        case _:
            assert_never(event)


def _of_two(event: e.LaneAsked | e.ApprovalGiven) -> str:
    match event:
        case e.LaneAsked():
            ticket = f" ({event.ticket})" if event.ticket else ""
            skips = f"; it would skip {'; '.join(event.skips)}" if event.skips else ""
            return f"somebody else is asked to approve promote --{event.lane.value}{ticket}: {event.reason}{skips}"
        case e.ApprovalGiven():
            until = moment(event.expires)
            return f"{event.subject} of plan {short(event.plan)} was approved by {event.by} until {until}"
        case _:
            assert_never(event)


def _rollback(event: e.RollbackOrdered, plan: Plan | None) -> str:
    what = (
        _targets(event.targets) if event.targets else listed([_wave(number, plan) for number in event.waves])
    )
    verb = "recall" if event.recall else "rollback"
    return f"{verb} of {what} ordered by {event.by}: {event.reason}"


def _of_wave(
    event: e.WaveGated
    | e.WaveStarted
    | e.TargetsClaimed
    | e.TargetsDeferred
    | e.WaveBaking
    | e.BakeExtended
    | e.WaveJudging
    | e.WaveJudged
    | e.WaveInconclusive
    | e.WaveDecided
    | e.WavePassed
    | e.WaveFailed
    | e.WaveRolledBack,
    plan: Plan | None,
) -> str:
    wave = _wave(event.wave, plan)
    match event:
        case e.WaveGated():
            until = f" until {moment(event.until)}" if event.until else ""
            return f"{wave} waits{until}: {event.reason}"
        case e.WaveStarted():
            return f"{wave} started"
        case e.TargetsClaimed():
            return f"{wave}: {_targets(event.targets)} may start"
        case e.TargetsDeferred():
            return f"{wave}: {_targets(event.targets)} go with {_wave(event.to, plan)}: {event.reason}"
        case e.WaveBaking():
            return f"{wave} is healthy and bakes until {moment(event.until)}"
        case e.BakeExtended():
            return f"{wave} bakes on until {moment(event.until)}: {event.reason}"
        case e.WavePassed():
            return f"{wave} passed" + (" in a hurry: its last look is still to come" if event.hurried else "")
        case e.WaveFailed():
            return f"{wave} failed: {event.reason}"
        case e.WaveRolledBack():
            left = f", except {_targets(event.incomplete)}" if event.incomplete else ""
            return f"{wave} was rolled back{left}"
        case e.WaveJudging() | e.WaveJudged() | e.WaveInconclusive() | e.WaveDecided():
            return f"{wave} {_judging(event)}"
        case _:
            assert_never(event)


def _judging(event: e.WaveJudging | e.WaveJudged | e.WaveInconclusive | e.WaveDecided) -> str:
    match event:
        case e.WaveJudging():
            return "has baked and is judged"
        case e.WaveJudged():
            seen = f"evidence {short(event.evidence)}"
            return f"was judged {event.verdict.value} at look {event.look}: {event.reason} ({seen})"
        case e.WaveInconclusive():
            return f"waits for a person until {moment(event.deadline)}: {event.reason}"
        case e.WaveDecided():
            seen = f", on evidence {short(event.evidence)}" if event.evidence else ""
            return f"was let pass by a person{seen}: {event.reason}"
        case _:
            assert_never(event)


def _targets(targets: Iterable[object]) -> str:
    return listed([str(target) for target in targets])
