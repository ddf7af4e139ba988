"""UPDATE_ROLLBACK_FAILED, retries, alarms from before, and orphans: what is decided about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.decide.effects import as_planned, beside_an_orphan, foreseen, imported, let_go
from pipeline.decide.target_ends import (
    alarms_before,
    blocked,
    change_set_failed,
    operation_ended,
    quarantine_command,
    skip_command,
)
from pipeline.decide.target_steps import (
    CONTINUE_AFTER,
    MAX_CONTINUES,
    ClearThenLook,
    Conclude,
    ContinueRollback,
    Do,
    FindContinuation,
    FollowContinuation,
    Look,
    MakeChangeSet,
    Wait,
    next_step,
)
from pipeline.model import event as e
from pipeline.model.policy import AlarmsBefore
from pipeline.model.stack import ResourceChange
from pipeline.model.target_state import Phase, fold_target
from tests.decide.runs import NOW, OLD, digest_of, envelopes, planned, t
from tests.decide.test_target_steps import ACME, BACK, CLAIMED, HEALTHY, RUNNING, TAKEN_OVER, good, seen, step

STUCK = e.StackStuck(reason="the stack ended in UPDATE_ROLLBACK_FAILED: a function is gone")
INTENDED = e.ContinueIntended(action_id="c" * 32)
STARTED = e.ContinueStarted()
ABANDONED = e.ContinueAbandoned(reason="a function is still gone")
BROKEN = seen("UPDATE_ROLLBACK_FAILED")
TRIED = (INTENDED, STARTED, ABANDONED, BROKEN)
SERVICE = planned(t("@intake"))


def test_a_rollback_that_cloudformation_could_not_finish_is_continued_at_once() -> None:
    move = step(*good(OLD), *RUNNING, STUCK)

    assert isinstance(move, Do)
    assert isinstance(move.action, ContinueRollback)
    assert move.intent == e.ContinueIntended(action_id=move.action.id, skip=())
    assert step(*good(OLD), *RUNNING, STUCK) == move


def test_an_answer_that_was_lost_is_looked_for_before_anything_is_continued_again() -> None:
    assert step(*RUNNING, STUCK, INTENDED) == Do(action=FindContinuation())
    assert step(*RUNNING, STUCK, INTENDED, STARTED) == Do(action=FollowContinuation())
    assert step(*RUNNING, STUCK, INTENDED, TAKEN_OVER) == Do(action=FindContinuation())
    assert step(*RUNNING, STUCK, INTENDED, STARTED, TAKEN_OVER) == Do(action=FollowContinuation())


def test_each_further_attempt_waits_longer_and_has_an_id_of_its_own() -> None:
    ids = set()
    for tries in range(MAX_CONTINUES):
        said = (*RUNNING, STUCK, *TRIED * tries)
        pause = CONTINUE_AFTER[tries]
        if pause:
            early = step(*said, after=pause - timedelta(seconds=1))
            assert isinstance(early, Wait)
            assert early.until == NOW + timedelta(seconds=len(said) - 1) + pause
        move = step(*said, after=pause)
        assert isinstance(move, Do)
        assert isinstance(move.action, ContinueRollback)
        ids.add(move.action.id)

    assert len(ids) == MAX_CONTINUES
    assert list(CONTINUE_AFTER) == sorted(CONTINUE_AFTER)


def test_after_so_many_attempts_a_person_gets_the_command_and_may_name_resources() -> None:
    move = step(*RUNNING, STUCK, *TRIED * MAX_CONTINUES)

    assert isinstance(move, Conclude)
    failed, quarantined = move.events
    assert isinstance(failed, e.TargetFailed)
    assert failed.fault is e.Fault.RELEASE
    assert failed.reason == (
        f"{STUCK.reason}; the stack is in UPDATE_ROLLBACK_FAILED, and continuing its rollback 3 times did not help:"
        " a function is still gone"
    )
    assert quarantined == e.TargetQuarantined(reason=failed.reason, command=skip_command(ACME, "intake"))
    assert skip_command(ACME, "intake").startswith("release clear intake acme/us-east-1 --skip LOGICAL_ID")


def test_a_stack_found_stuck_is_mended_before_it_is_deployed_to() -> None:
    found = step(CLAIMED, BROKEN)

    assert isinstance(found, Do)
    assert isinstance(found.action, ContinueRollback)
    continued = e.StackContinued(status="UPDATE_ROLLBACK_COMPLETE")
    assert step(CLAIMED, BROKEN, INTENDED, STARTED, continued) == Do(action=Look())
    ready = step(CLAIMED, BROKEN, INTENDED, STARTED, continued, seen("UPDATE_ROLLBACK_COMPLETE"))
    assert isinstance(ready, Do)
    assert isinstance(ready.action, MakeChangeSet)


def test_a_stack_found_stuck_that_stays_so_is_nobodys_failed_release() -> None:
    move = step(CLAIMED, BROKEN, *TRIED * MAX_CONTINUES)

    assert isinstance(move, Conclude)
    assert [(type(event), getattr(event, "fault", None)) for event in move.events] == [
        (e.TargetQuarantined, e.Fault.ACCOUNT)
    ]


def test_on_the_way_back_a_stack_that_stays_stuck_is_quarantined() -> None:
    move = step(*good(OLD), *HEALTHY, BACK, BROKEN, *TRIED * MAX_CONTINUES)

    assert isinstance(move, Conclude)
    assert [type(event) for event in move.events] == [e.RollbackFailed, e.TargetQuarantined]


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_COMPLETE", "UPDATE_COMPLETE"])
def test_what_failed_and_was_mended_by_hand_is_not_deployed_a_second_time(status: str) -> None:
    move = step(*RUNNING, STUCK, INTENDED, ABANDONED, seen(status))

    assert isinstance(move, Conclude)
    assert [type(event) for event in move.events] == [e.TargetFailed]


# --- a person names resources ------------------------------------------------------------------

CHOSEN = e.SkipsChosen(resources=("Form",), reason="its queue was deleted by hand")


def test_only_what_a_person_has_named_is_skipped_and_it_is_drift_from_then_on() -> None:
    stuck = (*good(OLD), *RUNNING, STUCK, *TRIED * MAX_CONTINUES)
    given_up = step(*stuck)
    assert isinstance(given_up, Conclude)
    chosen = (*stuck, *given_up.events, CHOSEN)
    assert fold_target(envelopes(chosen)).phase is Phase.FAILED

    found = step(*chosen, BACK, BROKEN)
    assert isinstance(found, Do)
    assert isinstance(found.action, ContinueRollback)
    assert found.action.skip == ("Form",)
    assert found.intent == e.ContinueIntended(action_id=found.action.id, skip=("Form",))

    done = e.StackContinued(status="UPDATE_ROLLBACK_COMPLETE", skipped=("Form",))
    state = fold_target(envelopes((*chosen, BACK, BROKEN, found.intent, STARTED, done)))
    assert (state.drifted, state.skips) == (("Form",), ())
    assert state.between_runs().drifted == ("Form",)


# --- retry -------------------------------------------------------------------------------------


def test_a_retried_target_begins_again_with_another_id_and_clears_what_was_left_open() -> None:
    first = step(CLAIMED, seen())
    failed = e.TargetFailed(reason="a hiccup", fault=e.Fault.RELEASE)
    retried = (CLAIMED, seen(), failed, e.TargetRetried(reason="mended"), CLAIMED)

    assert step(*retried) == Do(action=ClearThenLook())
    second = step(*retried, e.ExecutionAbandoned(reason="cleared"), seen())
    assert isinstance(first, Do)
    assert isinstance(second, Do)
    assert isinstance(first.action, MakeChangeSet)
    assert isinstance(second.action, MakeChangeSet)
    assert first.action.id != second.action.id


def test_what_an_earlier_attempt_changed_is_not_forgotten() -> None:
    failed = e.TargetFailed(reason="alarm", fault=e.Fault.RELEASE)
    state = fold_target(envelopes((*good(OLD), *RUNNING, failed, e.TargetRetried(reason="mended"), CLAIMED)))

    assert (state.changed, state.previous_good, state.attempt) == (True, OLD, 1)


# --- whose fault -------------------------------------------------------------------------------


def test_an_accounts_own_fault_skips_a_client_but_not_the_service_and_not_what_was_executed() -> None:
    before = fold_target(envelopes((CLAIMED, seen())))
    executed = fold_target(envelopes(RUNNING))
    skipped = e.TargetSkipped(reason="suspended", fault=e.Fault.ACCOUNT)
    failed = e.TargetFailed(reason="suspended", fault=e.Fault.ACCOUNT)

    assert blocked(ACME, before, "suspended", e.Fault.ACCOUNT) == (skipped,)
    assert blocked(SERVICE, before, "suspended", e.Fault.ACCOUNT) == (failed,)
    assert blocked(ACME, executed, "suspended", e.Fault.ACCOUNT) == (failed,)
    assert fold_target(envelopes((CLAIMED, seen(), skipped))).blameless


QUOTA = "Resource handler returned message: full (HandlerErrorCode: ServiceLimitExceeded)"


def test_a_quota_is_the_accounts_own_fault_before_and_after_the_execution() -> None:
    made = fold_target(envelopes((CLAIMED, seen(), *RUNNING[2:4])))
    executed = fold_target(envelopes(RUNNING))
    skipped = e.TargetSkipped(reason=f"the change set failed: {QUOTA}", fault=e.Fault.ACCOUNT)
    reason = f"the stack ended in UPDATE_ROLLBACK_COMPLETE: {QUOTA}"

    assert change_set_failed(ACME, made, QUOTA) == (skipped,)
    assert change_set_failed(ACME, made, "a typing error") == (
        e.TargetFailed(reason="the change set failed: a typing error", fault=e.Fault.RELEASE),
    )
    assert operation_ended(ACME, executed, "UPDATE_ROLLBACK_COMPLETE", QUOTA) == (
        e.TargetFailed(reason=reason, fault=e.Fault.ACCOUNT),
    )


def test_whatever_stops_a_rollback_is_for_a_person() -> None:
    back = fold_target(envelopes((*good(OLD), *HEALTHY, BACK)))

    assert blocked(ACME, back, "suspended", e.Fault.ACCOUNT) == (
        e.RollbackFailed(reason="suspended"),
        e.TargetQuarantined(reason="suspended", command=quarantine_command(ACME)),
    )


# --- alarms from before ------------------------------------------------------------------------


def test_alarms_from_before_are_recorded_and_block_only_where_the_policy_says_so() -> None:
    state = fold_target(envelopes((CLAIMED,)))
    noted = e.AlarmsBefore(names=("errors",))
    reason = "in ALARM before anything was deployed: errors"

    assert alarms_before(ACME, state, (), AlarmsBefore.BLOCK) == ()
    assert alarms_before(ACME, state, ("errors",), AlarmsBefore.RECORD) == (noted,)
    assert alarms_before(ACME, state, ("errors",), AlarmsBefore.BLOCK) == (
        noted,
        e.TargetSkipped(reason=reason, fault=e.Fault.ACCOUNT),
    )


# --- orphans -----------------------------------------------------------------------------------

TABLE = e.Orphan(logical_id="Notes", resource_type="AWS::DynamoDB::Table", physical_id="notes")
REMOVED = ResourceChange(
    logical_id="Notes",
    resource_type="AWS::DynamoDB::Table",
    action="Remove",
    policy_action="Retain",
    physical_id="notes",
)
ADDED = ResourceChange(logical_id="Notes", resource_type="AWS::DynamoDB::Table", action="Add")
IMPORTED = replace(REMOVED, action="Import", policy_action="")


def test_a_rollback_leaves_behind_only_what_this_release_had_added_and_retains() -> None:
    assert let_go((REMOVED,), ("Notes",)) == (TABLE,)
    assert let_go((REMOVED,), ()) == ()
    assert let_go((replace(REMOVED, policy_action="Delete"),), ("Notes",)) == ()


def test_a_deployment_takes_an_orphan_back_in_and_does_what_the_plan_had_seen() -> None:
    assert imported((IMPORTED,), (TABLE,)) == ("Notes",)
    assert imported((ADDED,), (TABLE,)) == ()
    assert as_planned((IMPORTED,), (TABLE,)) == (ADDED,)
    assert as_planned((IMPORTED,), ()) == (IMPORTED,)


def test_a_plan_shows_what_the_engine_takes_back_in_where_cloudformation_would_make_it_anew() -> None:
    other = replace(ADDED, logical_id="Other")
    assert foreseen((ADDED, other), (TABLE,)) == (IMPORTED, other)
    assert foreseen((ADDED,), ()) == (ADDED,)
    assert foreseen((REMOVED, IMPORTED), (TABLE,)) == (REMOVED, IMPORTED)
    assert foreseen(as_planned((other,), (), (TABLE,)), (TABLE,)) == (other, IMPORTED)


@pytest.mark.parametrize(
    "ending", [e.TargetReleased(reason="halted"), e.TargetFailed(reason="ill", fault=e.Fault.RELEASE)]
)
def test_what_an_import_gave_the_stack_is_known_however_often_its_release_is_tried(
    ending: e.TargetEvent,
) -> None:
    orphaned = (*good(OLD), *HEALTHY, BACK, seen(), e.OrphansLeft(orphans=(TABLE,)))
    importing = e.ChangeSetIntended(action_id="a", creating=False, importing=(TABLE,), bridging=True)
    inspected = e.ChangeSetInspected(effect=digest_of("it"), added=("Notes",), imports=("Notes",))
    taken = (e.StackImported(status="IMPORT_COMPLETE"), e.OrphansTaken(logical_ids=("Notes",)))
    started = (*orphaned, e.TargetRolledBack(to=OLD.release), CLAIMED, seen(), importing, inspected, *taken)
    retried = (e.TargetRetried(reason="again"),) if isinstance(ending, e.TargetFailed) else ()

    again = fold_target(envelopes((*started, ending, *retried, CLAIMED)))
    assert (again.bridged, again.orphans) == ((TABLE,), ())
    settled = (seen(), e.StackSettled(status="UPDATE_COMPLETE", reason=""))
    assert fold_target(envelopes((*started, ending, *retried, CLAIMED, *settled))).bridged == ()


def test_nothing_is_made_anew_beside_what_still_stands() -> None:
    finding = (
        "Notes (AWS::DynamoDB::Table): would be made anew beside notes, which an earlier rollback here has let go of"
        " with its data"
    )
    assert beside_an_orphan((ADDED,), (TABLE,)) == {"Notes": finding}
    assert beside_an_orphan((IMPORTED,), (TABLE,)) == {}
    assert beside_an_orphan((ADDED,), ()) == {}
    assert beside_an_orphan((replace(ADDED, resource_type="AWS::S3::Bucket"),), (TABLE,)) == {}


def test_orphans_are_known_until_they_are_taken_back_in() -> None:
    left = (*good(OLD), *HEALTHY, BACK, seen(), e.OrphansLeft(orphans=(TABLE,)))
    gone = (*left, e.TargetRolledBack(to=OLD.release))
    again = (*gone, CLAIMED, seen())

    assert fold_target(envelopes(again)).orphans == (TABLE,)
    move = next_step(ACME, fold_target(envelopes(again)), NOW, 7)
    assert isinstance(move, Do)
    assert isinstance(move.action, MakeChangeSet)
    assert move.action.importing == (TABLE,)
    assert move.intent == e.ChangeSetIntended(action_id=move.action.id, creating=False, importing=(TABLE,))
    taken = (*again, e.OrphansTaken(logical_ids=("Notes",)))
    assert fold_target(envelopes(taken)).orphans == ()
