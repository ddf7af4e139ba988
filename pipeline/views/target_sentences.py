"""Floor 2, views: one sentence for each event of a target's stream. Pure.

A new kind of event that has none does not pass the type checker.
"""

from __future__ import annotations

from typing import assert_never

from pipeline.model import event as e
from pipeline.views.text import listed, short

__all__ = ["target_sentence"]


def target_sentence(event: e.TargetEvent) -> str:
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
        case e.AlarmsBefore():
            return f"in ALARM before anything was changed: {listed(event.names)}"
        case e.TargetVerified():
            return "mark, template and code in the account are the planned ones"
        case e.TargetRetried():
            return f"pending again, for another attempt: {event.reason}"
        case e.SkipsChosen():
            return f"a person lets its rollback go on without {listed(event.resources)}: {event.reason}"
        case e.TargetProtected() | e.TargetUnprotected():
            return _protection(event)
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
        case (
            e.StackStuck()
            | e.ContinueIntended()
            | e.ContinueStarted()
            | e.ContinueAbandoned()
            | e.StackContinued()
            | e.StackImported()
            | e.OrphansApart()
            | e.OrphansLeft()
            | e.OrphansTaken()
        ):
            return _recovery(event)
        case _:
            return _end(event)


def _protection(event: e.TargetProtected | e.TargetUnprotected) -> str:
    match event:
        case e.TargetProtected():
            spared = f", all but {listed(event.spared)}" if event.spared else ""
            return f"protected against deletion and replacement{spared}"
        case e.TargetUnprotected():
            return f"could not be protected, which is tried again: {event.reason}"
        case _:
            assert_never(event)


def _recovery(
    event: e.StackStuck
    | e.ContinueIntended
    | e.ContinueStarted
    | e.ContinueAbandoned
    | e.StackContinued
    | e.StackImported
    | e.OrphansApart
    | e.OrphansLeft
    | e.OrphansTaken,
) -> str:
    match event:
        case e.StackStuck():
            return f"CloudFormation could not undo the operation: {event.reason}"
        case e.ContinueIntended():
            skip = f", skipping {listed(event.skip)}" if event.skip else ""
            return f"about to continue the stuck rollback as tg-{event.action_id}{skip}"
        case e.ContinueStarted():
            return "AWS continues the stuck rollback"
        case e.ContinueAbandoned():
            return f"nothing was continued: {event.reason}"
        case e.StackContinued():
            left = f"; it differs from its template in {listed(event.skipped)}" if event.skipped else ""
            return f"the stuck rollback came to its end: {event.status}{left}"
        case e.StackImported():
            return f"the import has ended: {event.status}; the release itself follows"
        case e.OrphansApart():
            return f"has to be imported before the release: {listed(event.logical_ids)}"
        case e.OrphansLeft():
            return f"left in the account with their data: {listed([o.logical_id for o in event.orphans])}"
        case e.OrphansTaken():
            return f"taken back into the stack: {listed(event.logical_ids)}"
        case _:
            assert_never(event)


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
            waived = f"; waived: {listed(event.waived)}" if event.waived else ""
            return f"the change set was read and allowed (effect {short(event.effect)}){waived}"
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
            told = "healthy" if event.changed else "healthy, and ran this release already"
            return f"{told}; {event.reason}" if event.reason else told
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
