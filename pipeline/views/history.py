"""Floor 2, views: the journal as JSON and as one sentence per event. Pure.

Every kind of event has its sentence: a new one that has none does not pass the type checker.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from pipeline.model import event as e
from pipeline.model.canonical import Json
from pipeline.model.codec import to_json
from pipeline.model.plan import Plan
from pipeline.views.text import count, listed, moment, plain, short

__all__ = ["HISTORY_FORMAT", "history_json", "history_text", "sentence"]

HISTORY_FORMAT = 1


def history_json(entries: Iterable[e.Envelope], plan: Plan | None = None) -> Json:
    """In the order given. `event` holds what this kind of event says besides its type."""
    return {
        "format_version": HISTORY_FORMAT,
        "events": [
            {
                "seq": entry.seq,
                "at": to_json(entry.at),
                "actor": entry.actor,
                "type": type(entry.event).__name__,
                "stream": entry.stream,
                "fence": entry.fence,
                "hash": entry.hash,
                "text": sentence(entry.event, plan),
                "event": to_json(entry.event),
            }
            for entry in entries
        ],
    }


def history_text(entries: Iterable[e.Envelope], plan: Plan | None = None) -> str:
    """A line per event. The stream's kind is left out: what stands before the sentence names the rest."""
    lines = [
        f"{moment(entry.at)}  {_subject(entry.stream)}  {sentence(entry.event, plan)}  ({plain(entry.actor)})"
        for entry in entries
    ]
    return "\n".join(lines or ["no events"]) + "\n"


def _subject(stream: str) -> str:
    kind, _, name = stream.partition("/")
    return plain(name.partition("/")[2] if kind == "target" else name)


def sentence(event: e.Event, plan: Plan | None = None) -> str:
    """One line for a person; wave names come from the plan where it is at hand."""
    text = _release(event, plan) if isinstance(event, e.ReleaseEvent) else _target(event)
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
        case e.RunHalted():
            return f"halted by {event.by}: {event.reason}"
        case e.RunResumed():
            forgiven = f", accepting {_targets(event.forgiven)}" if event.forgiven else ""
            return f"resumed: {event.reason}{forgiven}"
        case e.RollbackOrdered():
            return _rollback(event, plan)
        case e.RunEnded():
            return f"the run ended: {event.outcome.value}"
        case _:
            return _of_wave(event, plan)


def _rollback(event: e.RollbackOrdered, plan: Plan | None) -> str:
    what = (
        _targets(event.targets) if event.targets else listed([_wave(number, plan) for number in event.waves])
    )
    verb = "recall" if event.recall else "rollback"
    return f"{verb} of {what} ordered by {event.by}: {event.reason}"


def _of_wave(
    event: e.WaveStarted
    | e.TargetsClaimed
    | e.WaveBaking
    | e.WaveJudging
    | e.WavePassed
    | e.WaveFailed
    | e.WaveRolledBack,
    plan: Plan | None,
) -> str:
    wave = _wave(event.wave, plan)
    match event:
        case e.WaveStarted():
            return f"{wave} started"
        case e.TargetsClaimed():
            return f"{wave}: {_targets(event.targets)} may start"
        case e.WaveBaking():
            return f"{wave} is healthy and bakes until {moment(event.until)}"
        case e.WaveJudging():
            return f"{wave} has baked and is judged"
        case e.WavePassed():
            return f"{wave} passed"
        case e.WaveFailed():
            return f"{wave} failed: {event.reason}"
        case e.WaveRolledBack():
            left = f", except {_targets(event.incomplete)}" if event.incomplete else ""
            return f"{wave} was rolled back{left}"
        case _:
            assert_never(event)


def _targets(targets: Iterable[object]) -> str:
    return listed([str(target) for target in targets])


def _target(event: e.TargetEvent) -> str:
    match event:
        case e.TargetClaimed():
            return f"claimed for {event.release}"
        case e.TargetRecalled():
            return f"{event.release} is good here no more"
        case e.TargetCleared():
            return f"cleared by a person: {event.reason}"
        case e.TargetTakenOver():
            return "taken over by another runner"
        case e.TargetReleased():
            return f"put back, nothing was executed: {event.reason}"
        case e.RollbackClaimed():
            return f"rollback of {event.release} began"
        case e.TargetObserved():
            return _observed(event)
        case e.TargetVerified():
            return "mark, template and code in the account are the planned ones"
        case (
            e.ChangeSetIntended()
            | e.ChangeSetMade()
            | e.ChangeSetInspected()
            | e.ChangeSetEmpty()
            | e.ChangeSetAbandoned()
        ):
            return _change_set(event)
        case e.ExecutionIntended() | e.ExecutionStarted() | e.ExecutionAbandoned() | e.StackSettled():
            return _execution(event)
        case _:
            return _end(event)


def _observed(event: e.TargetObserved) -> str:
    if not event.stack_id:
        return "there was no stack yet"
    release = event.mark.split(" ")[0] if event.mark else "no release of ours"
    return f"the stack ran {release} and was {event.status}"


def _change_set(
    event: e.ChangeSetIntended
    | e.ChangeSetMade
    | e.ChangeSetInspected
    | e.ChangeSetEmpty
    | e.ChangeSetAbandoned,
) -> str:
    match event:
        case e.ChangeSetIntended():
            what = "that creates the stack" if event.creating else "that updates the stack"
            return f"about to make change set tg-{event.action_id} {what}"
        case e.ChangeSetMade():
            return "the change set was made"
        case e.ChangeSetInspected():
            return f"the change set was read and allowed (effect {short(event.effect)})"
        case e.ChangeSetEmpty():
            return "the change set was empty: nothing to change"
        case e.ChangeSetAbandoned():
            return f"the change set was given up: {event.reason}"
        case _:
            assert_never(event)


def _execution(
    event: e.ExecutionIntended | e.ExecutionStarted | e.ExecutionAbandoned | e.StackSettled,
) -> str:
    match event:
        case e.ExecutionIntended():
            return f"about to execute change set tg-{event.action_id}"
        case e.ExecutionStarted():
            return "AWS executes the change set"
        case e.ExecutionAbandoned():
            return f"nothing was executed: {event.reason}"
        case e.StackSettled():
            return f"the stack is {event.status}" + (f": {event.reason}" if event.reason else "")
        case _:
            assert_never(event)


def _end(
    event: e.TargetHealthy
    | e.TargetJudged
    | e.TargetGood
    | e.TargetFailed
    | e.TargetUnknown
    | e.TargetSkipped
    | e.TargetRolledBack
    | e.RollbackFailed
    | e.TargetQuarantined,
) -> str:
    match event:
        case e.TargetHealthy():
            return "healthy" if event.changed else "healthy, and ran this release already"
        case e.TargetJudged():
            return f"judged {event.verdict.value}" + (f": {event.reason}" if event.reason else "")
        case e.TargetGood():
            return "baked: good, and a place to roll back to"
        case e.TargetFailed():
            return f"failed ({event.fault.value}): {event.reason}"
        case e.TargetUnknown():
            return f"unknown, which counts as failed: {event.reason}"
        case e.TargetSkipped():
            return f"skipped: {event.reason}"
        case e.TargetRolledBack():
            return (
                f"rolled back to {event.to}" if event.to else "rolled back: its first creation cleared itself"
            )
        case e.RollbackFailed():
            return f"the rollback failed: {event.reason}"
        case e.TargetQuarantined():
            return f"quarantined: {event.reason}; a person types: {event.command}"
        case _:
            assert_never(event)
