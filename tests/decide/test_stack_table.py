"""Every status of a stack, wherever it is met: found before, during the way forward, during a rollback."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.decide.stack_table import TABLE
from pipeline.decide.target_ends import operation_ended, quarantine_command
from pipeline.decide.target_steps import (
    Conclude,
    ContinueRollback,
    Do,
    Look,
    MakeChangeSet,
    Move,
    next_step,
)
from pipeline.model import event as e
from pipeline.model.stack import StackStatus
from pipeline.model.target_state import fold_target
from tests.decide.runs import NEW, NOW, OLD, digest_of, envelopes, planned, t
from tests.decide.test_target_steps import ACME, BACK, CLAIMED, EXECUTED, HEALTHY, RUNNING, good, seen

ABSENT = ""
STATUSES = (ABSENT, *(status.value for status in StackStatus))
SERVICE = planned(t("@intake"))

LOOK, CREATE, UPDATE, CONTINUE = "look again", "create", "update", "continue the rollback"
PERSON, FAILED, FAILED_PERSON = "a person", "failed", "failed, and a person"
SUCCEEDED, WAIT = "succeeded", "wait"

# status: (found before, ours during the way forward, found by a rollback, ours during the rollback)
EXACT: dict[str, tuple[str, str, str, str]] = {
    "": (CREATE, WAIT, CREATE, WAIT),
    "CREATE_IN_PROGRESS": (LOOK, WAIT, LOOK, WAIT),
    "CREATE_FAILED": (PERSON, FAILED_PERSON, PERSON, PERSON),
    "CREATE_COMPLETE": (UPDATE, SUCCEEDED, UPDATE, SUCCEEDED),
    "ROLLBACK_IN_PROGRESS": (LOOK, WAIT, LOOK, WAIT),
    "ROLLBACK_FAILED": (PERSON, FAILED_PERSON, PERSON, PERSON),
    "ROLLBACK_COMPLETE": (PERSON, FAILED_PERSON, PERSON, PERSON),
    "DELETE_IN_PROGRESS": (LOOK, WAIT, LOOK, WAIT),
    "DELETE_FAILED": (PERSON, FAILED_PERSON, PERSON, PERSON),
    "DELETE_COMPLETE": (CREATE, FAILED, CREATE, PERSON),
    "UPDATE_IN_PROGRESS": (LOOK, WAIT, LOOK, WAIT),
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": (LOOK, WAIT, LOOK, WAIT),
    "UPDATE_COMPLETE": (UPDATE, SUCCEEDED, UPDATE, SUCCEEDED),
    "UPDATE_FAILED": (PERSON, FAILED_PERSON, PERSON, PERSON),
    "UPDATE_ROLLBACK_IN_PROGRESS": (LOOK, WAIT, LOOK, WAIT),
    "UPDATE_ROLLBACK_FAILED": (CONTINUE, CONTINUE, CONTINUE, CONTINUE),
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": (LOOK, WAIT, LOOK, WAIT),
    "UPDATE_ROLLBACK_COMPLETE": (UPDATE, FAILED, UPDATE, PERSON),
    "REVIEW_IN_PROGRESS": (PERSON, WAIT, PERSON, WAIT),
    "IMPORT_IN_PROGRESS": (LOOK, WAIT, LOOK, WAIT),
    "IMPORT_COMPLETE": (UPDATE, FAILED, UPDATE, PERSON),
    "IMPORT_ROLLBACK_IN_PROGRESS": (LOOK, WAIT, LOOK, WAIT),
    "IMPORT_ROLLBACK_FAILED": (PERSON, FAILED_PERSON, PERSON, PERSON),
    "IMPORT_ROLLBACK_COMPLETE": (UPDATE, FAILED, UPDATE, PERSON),
}


def found(*said: e.TargetEvent) -> Move:
    return next_step(ACME, fold_target(envelopes(said)), NOW, 7)


def told(move: Move) -> str:
    """Which of the words above a move is."""
    match move:
        case Do(action=Look()):
            return LOOK
        case Do(action=MakeChangeSet(creating=creating)):
            return CREATE if creating else UPDATE
        case Do(action=ContinueRollback(skip=())):
            return CONTINUE
        case Conclude(events=events):
            return ended(events)
        case _:
            raise AssertionError(move)


def ended(events: tuple[e.TargetEvent, ...]) -> str:
    match events:
        case ():
            return WAIT
        case (e.StackSettled(),):
            return SUCCEEDED
        case (e.StackStuck(),):
            return CONTINUE
        case (e.TargetFailed(fault=e.Fault.RELEASE),):
            return FAILED
        case (e.TargetFailed(fault=e.Fault.RELEASE), e.TargetQuarantined(command=command)):
            assert command == quarantine_command(ACME)
            return FAILED_PERSON
        case (e.RollbackFailed(), e.TargetQuarantined(command=command)) | (
            e.TargetQuarantined(command=command),
        ):
            assert command == quarantine_command(ACME)
            return PERSON
        case _:
            raise AssertionError(events)


def test_the_table_has_every_status_of_aws_and_the_absent_stack() -> None:
    assert set(TABLE) == {None, *StackStatus}
    assert tuple(EXACT) == STATUSES


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_found_before_a_deployment_has_its_exact_action(status: str) -> None:
    assert told(found(*good(OLD), CLAIMED, seen(status))) == EXACT[status][0]


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_met_during_a_deployment_has_its_exact_action(status: str) -> None:
    state = fold_target(envelopes(RUNNING))

    assert ended(operation_ended(ACME, state, status, "why")) == EXACT[status][1]


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_found_by_a_rollback_has_its_exact_action(status: str) -> None:
    assert told(found(*good(OLD), *HEALTHY, BACK, seen(status, runs=NEW))) == EXACT[status][2]


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_met_during_a_rollback_has_its_exact_action(status: str) -> None:
    said = (*good(OLD), *HEALTHY, BACK, seen(runs=NEW), *RUNNING[2:5], *EXECUTED)
    state = fold_target(envelopes(said))

    assert ended(operation_ended(ACME, state, status, "why")) == EXACT[status][3]


# --- whose fault -------------------------------------------------------------------------------


def test_a_stack_that_was_found_broken_is_no_defect_of_the_release() -> None:
    state = fold_target(envelopes((*good(OLD), CLAIMED, seen("ROLLBACK_COMPLETE"))))
    move = next_step(ACME, state, NOW, 7)

    reason = "the stack is in ROLLBACK_COMPLETE, which only a person can leave"
    quarantined = e.TargetQuarantined(reason=reason, command=quarantine_command(ACME), fault=e.Fault.ACCOUNT)
    assert move == Conclude(events=(quarantined,))
    assert fold_target(envelopes((CLAIMED, quarantined))).blameless


def test_the_services_own_stack_is_never_passed_over() -> None:
    state = fold_target(envelopes((CLAIMED, seen("ROLLBACK_COMPLETE"))))
    move = next_step(SERVICE, state, NOW, 7)

    assert isinstance(move, Conclude)
    assert [getattr(event, "fault", None) for event in move.events] == [None]


# --- REVIEW_IN_PROGRESS ------------------------------------------------------------------------


def reviewed(*names: str) -> e.TargetObserved:
    return replace(seen("REVIEW_IN_PROGRESS", runs=None), change_sets=names)


def test_a_stack_under_review_with_a_change_set_of_ours_is_made_by_us() -> None:
    assert told(found(CLAIMED, reviewed(f"tg-{'a' * 32}"))) == CREATE


def test_a_stack_that_we_began_and_that_has_no_change_set_left_is_made_by_us() -> None:
    began = e.ChangeSetIntended(action_id="b" * 32, creating=True)
    put_back = e.TargetReleased(reason="halted")

    assert told(found(CLAIMED, seen("", None), began, put_back, CLAIMED, reviewed())) == CREATE
    later = replace(CLAIMED, plan=digest_of("a later plan"))
    assert told(found(CLAIMED, seen("", None), began, put_back, later, reviewed())) == CREATE


@pytest.mark.parametrize("names", [(), ("ChangeSet1",), ("ChangeSet1", f"tg-{'a' * 32}")])
def test_a_stack_under_review_that_is_somebody_elses_is_for_a_person(names: tuple[str, ...]) -> None:
    assert told(found(CLAIMED, reviewed(*names))) == PERSON


def test_a_first_deployment_that_never_made_anything_leaves_nothing_to_roll_back() -> None:
    began = e.ChangeSetIntended(action_id="b" * 32, creating=True)
    lost = e.TargetUnknown(reason="AWS could not be asked")
    said = (CLAIMED, seen("", None), began, lost, BACK, e.ExecutionAbandoned(reason="cleared"), reviewed())

    assert found(*said) == Conclude(events=(e.TargetRolledBack(to=""),))
