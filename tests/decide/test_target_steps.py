"""One target's next step, asked of the state its own events add up to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.decide.target_steps import (
    BUSY_LIMIT,
    MAX_ROUNDS,
    CheckHealth,
    ClearThenLook,
    Conclude,
    Do,
    Done,
    Execute,
    FindChangeSet,
    Look,
    MakeChangeSet,
    Move,
    Poll,
    ReadChangeSet,
    StepAction,
    Verify,
    action_id,
    change_set_name,
    mark_of,
    next_step,
    quarantine_command,
)
from pipeline.model import event as e
from pipeline.model.ids import Digest
from pipeline.model.plan import Deployable
from pipeline.model.stack import Mark, parameters_digest
from pipeline.model.target_state import TargetState, fold_target
from tests.decide.runs import NEW, NOW, OLD, digest_of, envelopes, planned, t

PLAN = digest_of("plan")
ACME = planned(t("acme"))
FENCE = 7
CLAIMED = e.TargetClaimed(release=NEW.release, plan=PLAN, wave=2, desired=NEW)
INTENDED = e.ChangeSetIntended(action_id="a" * 32, creating=False)
MADE = e.ChangeSetMade(arn="arn:change-set", stack_id="arn:stack")
INSPECTED = e.ChangeSetInspected(effect=digest_of("effect"))
EXECUTED = (e.ExecutionIntended(action_id="a" * 32), e.ExecutionStarted())
SETTLED = e.StackSettled(status="UPDATE_COMPLETE", reason="")
ABANDONED = e.ChangeSetAbandoned(reason="the stack moved")
TAKEN_OVER = e.TargetTakenOver()


def seen(status: str = "UPDATE_COMPLETE", runs: Deployable | None = OLD) -> e.TargetObserved:
    """What stands in the account: a stack in that status which runs this, or nothing at all."""
    return e.TargetObserved(
        stack_id="arn:stack" if status else "",
        status=status,
        mark=mark_of(runs).text() if runs is not None else "",
        parameters=parameters_digest(runs.parameters if runs is not None else ()),
    )


TO_INSPECTED = (CLAIMED, seen(), INTENDED, MADE, INSPECTED)
RUNNING = (*TO_INSPECTED, *EXECUTED)
HEALTHY = (*RUNNING, SETTLED, e.TargetVerified(), e.TargetHealthy(changed=True))
"""A target that reached the release."""


def step(*said: e.TargetEvent, after: timedelta = timedelta(0), fence: int = FENCE) -> Move:
    """after: how long ago the last event was."""
    now = NOW + timedelta(seconds=len(said) - 1) + after
    return next_step(ACME, fold_target(envelopes(said)), now, fence)


def making(creating: bool, *, back: bool = False, attempt: int = 0, fence: int = FENCE) -> Do:
    """Make a change set, having said so."""
    direction = e.Direction.BACK if back else e.Direction.FORWARD
    identity = action_id(f"{PLAN}/{NEW.release}", ACME.id, direction, attempt, fence)
    return Do(
        action=MakeChangeSet(creating, identity),
        intent=e.ChangeSetIntended(action_id=identity, creating=creating),
    )


def good(*deployables: Deployable) -> tuple[e.TargetEvent, ...]:
    """Earlier releases that were good here, one after the other."""
    return tuple(
        event
        for wanted in deployables
        for event in (
            e.TargetClaimed(release=wanted.release, plan=digest_of(wanted.release), wave=1, desired=wanted),
            e.TargetHealthy(changed=True),
            e.TargetGood(),
        )
    )


# --- the way forward ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "move"),
    [
        ((), Done()),
        ((CLAIMED,), Do(action=Look())),
        ((CLAIMED, seen()), making(creating=False)),
        ((CLAIMED, seen(), INTENDED), Do(action=FindChangeSet())),
        ((CLAIMED, seen(), INTENDED, MADE), Do(action=ReadChangeSet())),
        (TO_INSPECTED, Do(action=Execute(), intent=e.ExecutionIntended(action_id="a" * 32))),
        ((*TO_INSPECTED, EXECUTED[0]), Do(action=ClearThenLook())),
        (RUNNING, Do(action=Poll())),
        ((*RUNNING, SETTLED), Do(action=Verify())),
        ((*RUNNING, SETTLED, e.TargetVerified()), Do(action=CheckHealth())),
        (HEALTHY, Done()),
        ((CLAIMED, seen(), INTENDED, MADE, e.ChangeSetEmpty()), Do(action=Verify())),
    ],
)
def test_each_step_follows_from_what_was_last_said(said: tuple[e.TargetEvent, ...], move: Move) -> None:
    assert step(*said) == move


@pytest.mark.parametrize(
    "end",
    [
        e.TargetHealthy(changed=True),
        e.TargetFailed(reason="r", fault=e.Fault.RELEASE),
        e.TargetUnknown(reason="r"),
        e.TargetSkipped(reason="r"),
        e.TargetReleased(reason="halted"),
        e.TargetQuarantined(reason="r", command="c"),
    ],
)
def test_nothing_more_is_done_to_a_target_that_has_ended(end: e.TargetEvent) -> None:
    assert step(CLAIMED, seen(), end) == Done()


def test_where_there_is_no_stack_one_is_created() -> None:
    assert step(CLAIMED, seen("", runs=None)) == making(creating=True)


def test_a_stack_that_tidegate_never_marked_is_updated() -> None:
    assert step(CLAIMED, seen(runs=None)) == making(creating=False)


def test_what_already_runs_the_release_is_verified_and_not_changed() -> None:
    assert step(CLAIMED, seen(runs=NEW)) == Do(action=Verify())


def test_the_same_release_with_other_parameters_is_not_the_same() -> None:
    painted = e.TargetObserved(
        stack_id="arn:stack",
        status="UPDATE_COMPLETE",
        mark=mark_of(NEW).text(),
        parameters=parameters_digest((("Colour", "#c00"),)),
    )

    assert step(CLAIMED, painted) == making(creating=False)


@pytest.mark.parametrize(
    "mark",
    [
        Mark(release=NEW.release, digest=OLD.digest, commit=NEW.commit),
        Mark(release=OLD.release, digest=NEW.digest, commit=NEW.commit),
        Mark(release=NEW.release, digest=NEW.digest, commit=OLD.commit),
    ],
)
def test_a_mark_that_agrees_only_in_part_is_not_the_release(mark: Mark) -> None:
    alike = e.TargetObserved(
        stack_id="arn:stack",
        status="UPDATE_COMPLETE",
        mark=mark.text(),
        parameters=parameters_digest(NEW.parameters),
    )

    assert step(CLAIMED, alike) == making(creating=False)


def test_a_release_that_a_moving_stack_is_marked_with_is_not_yet_there() -> None:
    assert step(CLAIMED, seen("UPDATE_IN_PROGRESS", runs=NEW)) == Do(action=Look())


# --- waiting and giving up ---------------------------------------------------------------------


def test_a_stack_somebody_else_is_changing_is_waited_for_up_to_the_limit() -> None:
    moving = seen("UPDATE_IN_PROGRESS")
    reason = "the stack stayed in UPDATE_IN_PROGRESS, changed by somebody else"

    assert step(CLAIMED, moving, after=BUSY_LIMIT) == Do(action=Look())
    assert step(CLAIMED, moving, after=BUSY_LIMIT + timedelta(seconds=1)) == Conclude(
        events=(e.TargetSkipped(reason=reason, fault=e.Fault.ACCOUNT),)
    )


@pytest.mark.parametrize(
    ("said", "limit", "action", "end"),
    [
        ((CLAIMED, seen(), INTENDED, MADE), timedelta(hours=1), ReadChangeSet(), e.TargetSkipped),
        (RUNNING, timedelta(hours=36), Poll(), e.TargetFailed),
    ],
)
def test_aws_itself_is_waited_for_up_to_a_limit(
    said: tuple[e.TargetEvent, ...], limit: timedelta, action: StepAction, end: type[e.TargetEvent]
) -> None:
    past = step(*said, after=limit + timedelta(seconds=1))

    assert step(*said, after=limit) == Do(action=action)
    assert isinstance(past, Conclude)
    assert [type(event) for event in past.events] == [end]


def test_each_new_attempt_has_a_name_of_its_own() -> None:
    assert step(CLAIMED, seen(), INTENDED, ABANDONED) == Do(action=Look())
    assert step(CLAIMED, seen(), INTENDED, ABANDONED, seen()) == making(creating=False, attempt=1)


def test_a_target_is_given_up_after_so_many_attempts() -> None:
    attempt = (seen(), INTENDED, ABANDONED)
    reason = f"gave up after {MAX_ROUNDS + 1} attempts to change the stack"

    assert step(CLAIMED, *attempt * MAX_ROUNDS) == Do(action=Look())
    assert step(CLAIMED, *attempt * (MAX_ROUNDS + 1)) == Conclude(
        events=(e.TargetSkipped(reason=reason, fault=e.Fault.ACCOUNT),)
    )


# --- a new holder ------------------------------------------------------------------------------


@pytest.mark.parametrize("stood_at", range(1, len(TO_INSPECTED) + 2))
def test_a_new_holder_clears_every_change_set_before_it_does_anything_else(stood_at: int) -> None:
    until_intended = (*TO_INSPECTED, EXECUTED[0])

    assert step(*until_intended[:stood_at], TAKEN_OVER) == Do(action=ClearThenLook())


@pytest.mark.parametrize(
    ("said", "move"),
    [
        (RUNNING, Do(action=Poll())),
        ((*RUNNING, SETTLED), Do(action=Verify())),
        ((*RUNNING, SETTLED, e.TargetVerified()), Do(action=CheckHealth())),
    ],
)
def test_a_new_holder_goes_on_with_what_was_executed_already(
    said: tuple[e.TargetEvent, ...], move: Move
) -> None:
    assert step(*said, TAKEN_OVER) == move


def test_after_clearing_a_new_holder_looks_for_itself_and_makes_change_sets_of_its_own() -> None:
    cleared = (*TO_INSPECTED, TAKEN_OVER, ABANDONED)
    found = step(*cleared, seen(), fence=8)

    assert step(*cleared) == Do(action=Look())
    assert isinstance(found, Do)
    assert isinstance(found.action, MakeChangeSet)
    assert found.action.id != "a" * 32
    assert found.intent == e.ChangeSetIntended(action_id=found.action.id, creating=False)


def test_a_new_holder_that_finds_the_token_used_waits_for_that_execution() -> None:
    said = (*TO_INSPECTED, EXECUTED[0], TAKEN_OVER, EXECUTED[1])

    assert step(*said) == Do(action=Poll())


# --- names -------------------------------------------------------------------------------------


def test_an_action_id_is_32_hex_digits_and_the_same_each_time() -> None:
    identity = action_id("plan", ACME.id, e.Direction.FORWARD, 0, 1)

    assert identity == action_id("plan", ACME.id, e.Direction.FORWARD, 0, 1)
    assert len(identity) == 32
    assert set(identity) <= set("0123456789abcdef")
    assert change_set_name(identity) == f"tg-{identity}"


def test_an_action_id_differs_by_plan_target_direction_attempt_and_holder() -> None:
    forward, back = e.Direction.FORWARD, e.Direction.BACK
    ids = {
        action_id("plan", ACME.id, forward, 0, 1),
        action_id("plan2", ACME.id, forward, 0, 1),
        action_id("plan", t("acme/eu-west-1"), forward, 0, 1),
        action_id("plan", ACME.id, back, 0, 1),
        action_id("plan", ACME.id, forward, 1, 1),
        action_id("plan", ACME.id, forward, 0, 2),
    }

    assert len(ids) == 6


def test_a_person_is_told_which_stack_to_look_at_and_as_whom() -> None:
    assert quarantine_command(ACME) == (
        "aws cloudformation describe-stack-events --stack-name svc-intake --region us-east-1"
        "   # as TidegateRepair in 000000000001"
    )


# --- the way back ------------------------------------------------------------------------------

BACK = e.RollbackClaimed(release=NEW.release)


def test_a_rollback_goes_through_the_same_steps_to_the_targets_own_previous_release() -> None:
    said = (*good(OLD), *HEALTHY, BACK)

    assert step(*said) == Do(action=Look())
    assert step(*said, seen(runs=NEW)) == making(creating=False, back=True)
    assert step(*said, seen(runs=NEW), INTENDED, MADE) == Do(action=ReadChangeSet())
    assert step(*said, seen(runs=NEW), INTENDED, MADE, INSPECTED, *EXECUTED) == Do(action=Poll())


def test_a_rollback_of_what_runs_the_previous_release_already_changes_nothing() -> None:
    failed = e.TargetFailed(reason="AWS rolled it back", fault=e.Fault.RELEASE)

    assert step(*good(OLD), *RUNNING, failed, BACK, seen(runs=OLD)) == Do(action=Verify())


def test_a_first_deployment_that_left_nothing_has_been_rolled_back_thereby() -> None:
    failed = e.TargetFailed(reason="creation failed", fault=e.Fault.RELEASE)
    first = (CLAIMED, seen("", runs=None), INTENDED, MADE, INSPECTED, *EXECUTED, failed, BACK)

    for status in ("", "DELETE_COMPLETE"):
        assert step(*first, seen(status, runs=None)) == Conclude(events=(e.TargetRolledBack(to=""),))


def test_a_first_deployment_that_stands_is_quarantined_with_the_command_for_a_person() -> None:
    first = (CLAIMED, seen("", runs=None), *HEALTHY[2:], BACK, seen("CREATE_COMPLETE", runs=NEW))
    reason = "this was the first deployment here: there is no earlier good release to go back to"

    assert step(*first) == Conclude(
        events=(e.TargetQuarantined(reason=reason, command=quarantine_command(ACME)),)
    )


def test_a_first_deployment_that_is_clearing_itself_away_is_waited_for() -> None:
    failed = e.TargetFailed(reason="creation failed", fault=e.Fault.RELEASE)
    first = (CLAIMED, seen("", runs=None), INTENDED, MADE, INSPECTED, *EXECUTED, failed, BACK)

    assert step(*first, seen("DELETE_IN_PROGRESS", runs=None)) == Do(action=Look())


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "UPDATE_FAILED"])
def test_a_rollback_that_meets_a_broken_stack_fails_and_quarantines(status: str) -> None:
    reason = f"the stack is in {status}, which only a person can leave"

    assert step(*good(OLD), *HEALTHY, BACK, seen(status, runs=NEW)) == Conclude(
        events=(
            e.RollbackFailed(reason=reason),
            e.TargetQuarantined(reason=reason, command=quarantine_command(ACME)),
        )
    )


def test_a_rollback_that_cannot_get_on_is_given_up_and_quarantined() -> None:
    attempt = (seen(runs=NEW), INTENDED, ABANDONED)
    reason = f"gave up after {MAX_ROUNDS + 1} attempts to change the stack"

    assert step(*good(OLD), *HEALTHY, BACK, *attempt * (MAX_ROUNDS + 1)) == Conclude(
        events=(
            e.RollbackFailed(reason=reason),
            e.TargetQuarantined(reason=reason, command=quarantine_command(ACME)),
        )
    )


def test_a_state_that_nobody_has_claimed_has_no_next_step() -> None:
    assert next_step(ACME, TargetState(plan=Digest("")), NOW, FENCE) == Done()
