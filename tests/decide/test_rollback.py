"""The way back: which waves, who first, how many at once, who stays, and how it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.decide.rollback import ClaimRollback, RollbackMove, next_rollback_move, waves_to_roll_back
from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.plan import Plan, WaveKind
from pipeline.model.run_state import Run, RunState, WaveState, WaveStatus
from pipeline.model.target_state import Action, Phase, TargetState
from tests.decide.runs import NEW, a_plan, a_wave, states, t

SERVICE = t("@intake")
PLAN = a_plan(
    a_wave("@intake", kind=WaveKind.SERVICE),
    a_wave("k", kind=WaveKind.CANARY),
    a_wave("a", "b", "c", "d"),
)
HEALTHY = TargetState(phase=Phase.HEALTHY, desired=NEW, observed=NEW.release, changed=True)
UNCHANGED = replace(HEALTHY, changed=False)
BROKEN = replace(HEALTHY, phase=Phase.FAILED, reason="no answer")
LOST = replace(BROKEN, phase=Phase.UNKNOWN)
BACK = replace(HEALTHY, phase=Phase.ROLLED_BACK, observed="intake@1.3.0")
GOING = replace(HEALTHY, phase=Phase.ROLLING_BACK)
STUCK = replace(BACK, phase=Phase.ROLLBACK_FAILED)
NOT_OURS = TargetState(phase=Phase.QUARANTINED, fault=e.Fault.ACCOUNT, desired=NEW, observed="intake@1.3.0")
SUCCEEDED, ROLLED_BACK, INCOMPLETE = (
    e.RunEnded(outcome=outcome)
    for outcome in (e.Outcome.SUCCEEDED, e.Outcome.ROLLED_BACK, e.Outcome.ROLLBACK_INCOMPLETE)
)


def order(*waves: int, targets: str = "", recall: bool = False) -> e.RollbackOrdered:
    named = tuple(t(name) for name in targets.split())
    return e.RollbackOrdered(waves=waves, reason="no answer", by="ann", targets=named, recall=recall)


def ordered(given: e.RollbackOrdered, *statuses: WaveStatus, before: Run = Run.RUNNING) -> RunState:
    """A run that goes back; statuses: of its waves, else those of the order are on their way and the others passed."""
    said = statuses or tuple(
        WaveStatus.ROLLING_BACK if number in given.waves and not given.targets else WaveStatus.PASSED
        for number in range(len(PLAN.waves))
    )
    waves = tuple(WaveState(status=status) for status in said)
    return RunState(run=Run.ROLLING_BACK, rollback=given, waves=waves, before_rollback=before)


def move(run: RunState, plan: Plan = PLAN, **phases: TargetState) -> RollbackMove:
    return next_rollback_move(plan, run, states(plan, **{"intake": HEALTHY, "k": HEALTHY, **phases}))


def ids(names: str) -> tuple[TargetId, ...]:
    return tuple(t(name) for name in names.split())


# --- which waves -----------------------------------------------------------------------------------


def test_going_back_from_a_wave_on_leaves_out_the_earlier_ones_and_what_has_not_started() -> None:
    statuses = (
        WaveStatus.PASSED,
        WaveStatus.PASSED,
        WaveStatus.BAKING,
        WaveStatus.FAILED,
        WaveStatus.PENDING,
    )
    run = RunState(waves=tuple(WaveState(status=status) for status in statuses))

    assert waves_to_roll_back(run, 1, only=False) == (1, 2, 3)
    assert waves_to_roll_back(run, 2, only=True) == (2,)
    assert waves_to_roll_back(run, 0, only=False) == (0, 1, 2, 3)
    assert waves_to_roll_back(run, 4, only=True) == ()


def test_the_newest_wave_goes_back_before_the_older_one_whatever_the_order_says_first() -> None:
    run = ordered(order(1, 2))

    assert move(run, a=BACK, b=BACK, c=BACK, d=HEALTHY) == ClaimRollback(ids("d"))
    assert move(run, a=BACK, b=BACK, c=BACK, d=BACK) == e.WaveRolledBack(wave=2)
    over = ordered(order(1, 2), WaveStatus.PASSED, WaveStatus.ROLLING_BACK, WaveStatus.ROLLED_BACK)
    assert move(over, a=BACK, b=BACK, c=BACK, d=BACK) == ClaimRollback(ids("k"))


# --- who goes back ---------------------------------------------------------------------------------


def test_what_this_run_has_not_changed_stays_unless_it_is_named_or_the_release_is_recalled() -> None:
    everybody = {"a": BACK, "b": BACK, "c": UNCHANGED, "d": BACK}

    assert move(ordered(order(2)), **everybody) == e.WaveRolledBack(wave=2)
    assert move(ordered(order(2, recall=True)), **everybody) == ClaimRollback(ids("c"))
    assert move(ordered(order(2, targets="c")), **everybody) == ClaimRollback(ids("c"))


def test_nobody_who_was_not_named_goes_back_with_who_was() -> None:
    run = ordered(order(2, targets="b d"))
    everybody = dict.fromkeys("abcd", HEALTHY)

    assert move(run, **everybody) == ClaimRollback(ids("d"))
    assert move(run, **{**everybody, "d": BACK}) == ClaimRollback(ids("b"))
    assert move(run, **{**everybody, "d": BACK, "b": GOING}) == ids("b")


def test_who_suffers_goes_back_first_then_the_newest_and_what_is_unknown_suffers_too() -> None:
    run = ordered(order(2))

    assert move(run, a=HEALTHY, b=BROKEN, c=HEALTHY, d=HEALTHY) == ClaimRollback(ids("b"))
    assert move(run, a=LOST, b=HEALTHY, c=HEALTHY, d=BACK) == ClaimRollback(ids("a c b"))
    assert move(run, a=HEALTHY, b=HEALTHY, c=BACK, d=HEALTHY) == ClaimRollback(ids("d b a"))


def test_a_client_that_suffers_in_one_region_goes_back_first_in_its_other_as_well() -> None:
    plan = a_plan(a_wave("a", "a/eu-west-1", "b", "c"))
    run = RunState(
        run=Run.ROLLING_BACK, rollback=order(0), waves=(WaveState(status=WaveStatus.ROLLING_BACK),)
    )
    found = {**states(plan, a=BROKEN, b=HEALTHY, c=HEALTHY), t("a/eu-west-1"): HEALTHY}

    assert next_rollback_move(plan, run, found) == ClaimRollback((t("a/eu-west-1"),))


# --- how many at once ------------------------------------------------------------------------------


def narrow(first: int, second: int) -> Plan:
    waves = (
        PLAN.waves[0],
        replace(PLAN.waves[1], max_in_flight=first),
        replace(PLAN.waves[2], max_in_flight=second),
    )
    return replace(PLAN, waves=waves)


def test_once_the_way_back_has_been_tried_the_widest_wave_says_how_many_go_at_once() -> None:
    run = ordered(order(2))
    tried = {"a": HEALTHY, "b": HEALTHY, "c": HEALTHY, "d": BACK}

    assert move(run, narrow(2, 1), **tried) == ClaimRollback(ids("c b"))
    assert move(run, narrow(1, 3), **tried) == ClaimRollback(ids("c b a"))
    assert move(run, narrow(2, 1), **{**tried, "c": GOING}) == ClaimRollback(ids("b"))
    assert move(run, narrow(2, 1), **{**tried, "c": GOING, "b": GOING}) == ids("c b")


def test_until_the_way_back_has_been_tried_one_goes_and_everybody_waits_for_it() -> None:
    run = ordered(order(2))

    assert move(run, a=HEALTHY, b=HEALTHY, c=HEALTHY, d=GOING) == ids("d")
    assert move(run, a=HEALTHY, b=HEALTHY, c=HEALTHY, d=STUCK) == ClaimRollback(ids("c"))


def test_two_regions_of_one_client_are_never_on_their_way_back_together() -> None:
    plan = a_plan(a_wave("x", "b", "a", "a/eu-west-1", "a/ap-south-1"))
    run = RunState(
        run=Run.ROLLING_BACK, rollback=order(0), waves=(WaveState(status=WaveStatus.ROLLING_BACK),)
    )
    found = states(plan, x=BACK, a=HEALTHY, b=HEALTHY)

    assert next_rollback_move(plan, run, found) == ClaimRollback((t("a/ap-south-1"), t("b")))
    flying = {**found, t("a/ap-south-1"): GOING}
    assert next_rollback_move(plan, run, flying) == ClaimRollback((t("b"),))


# --- the service's own account ---------------------------------------------------------------------


@pytest.mark.parametrize("client", [HEALTHY, STUCK, replace(BROKEN, observed=NEW.release)])
def test_the_service_stays_above_a_client_that_may_still_be_on_the_release(client: TargetState) -> None:
    run = ordered(order(0, recall=True))

    assert move(run, k=BACK, a=client, b=BACK, c=BACK, d=BACK) == INCOMPLETE


@pytest.mark.parametrize(
    "client", [TargetState(), replace(BACK, phase=Phase.SKIPPED), replace(LOST, observed=""), BACK, NOT_OURS]
)
def test_the_service_goes_back_where_every_client_is_shown_to_be_off_the_release(client: TargetState) -> None:
    run = ordered(order(0, recall=True))

    assert move(run, k=BACK, a=client, b=BACK, c=BACK, d=BACK) == ClaimRollback((SERVICE,))


def test_a_client_is_on_the_release_as_long_as_its_account_shows_it() -> None:
    run = ordered(order(0, recall=True))
    shown = replace(BACK, observed=NEW.release)

    assert move(run, k=BACK, a=shown, b=BACK, c=BACK, d=BACK) == INCOMPLETE


def test_a_service_that_is_named_goes_back_whoever_stays() -> None:
    assert move(ordered(order(0, targets="@intake")), **dict.fromkeys("abcd", HEALTHY)) == ClaimRollback(
        (SERVICE,)
    )


@pytest.mark.parametrize(
    ("status", "service", "event"),
    [
        (WaveStatus.PASSED, HEALTHY, e.RollbackOrdered(waves=(0,), reason="no answer", by="ann")),
        (WaveStatus.PASSED, UNCHANGED, ROLLED_BACK),
        (WaveStatus.PENDING, HEALTHY, ROLLED_BACK),
        (WaveStatus.ROLLED_BACK, HEALTHY, ROLLED_BACK),
        (WaveStatus.ROLLBACK_INCOMPLETE, HEALTHY, ROLLED_BACK),
    ],
)
def test_the_service_follows_the_last_client_where_this_run_has_changed_it_and_only_once(
    status: WaveStatus, service: TargetState, event: e.ReleaseEvent
) -> None:
    run = ordered(order(1, 2), status, WaveStatus.ROLLED_BACK, WaveStatus.ROLLED_BACK)

    assert move(run, intake=service, k=BACK, **dict.fromkeys("abcd", BACK)) == event


def test_a_recall_that_takes_the_service_along_stays_a_recall() -> None:
    run = ordered(order(1, 2, recall=True), WaveStatus.PASSED, WaveStatus.ROLLED_BACK, WaveStatus.ROLLED_BACK)

    assert move(run, k=BACK, **dict.fromkeys("abcd", BACK)) == e.RollbackOrdered(
        waves=(0,), reason="no answer", by="ann", recall=True
    )


# --- how it ends -----------------------------------------------------------------------------------

GONE = (WaveStatus.PASSED, WaveStatus.PASSED, WaveStatus.ROLLED_BACK)


def test_what_is_stuck_is_named_in_the_waves_own_order_of_going_back() -> None:
    assert move(ordered(order(2)), a=STUCK, b=BACK, c=NOT_OURS, d=STUCK) == e.WaveRolledBack(
        wave=2, incomplete=ids("d a")
    )


def test_what_was_left_alone_before_and_then_tried_in_vain_could_not_be_restored() -> None:
    action = Action(direction=e.Direction.BACK, wanted=None)
    tried = replace(NOT_OURS, action=action)
    forward = replace(NOT_OURS, action=replace(action, direction=e.Direction.FORWARD))
    run = ordered(order(2), *GONE)

    assert move(run, a=tried, b=BACK, c=BACK, d=BACK) == INCOMPLETE
    assert move(run, a=forward, b=BACK, c=BACK, d=BACK) == ROLLED_BACK


def test_a_rollback_of_some_waves_is_whole_although_other_clients_stay_and_a_recall_is_not() -> None:
    back = dict.fromkeys("abcd", BACK)

    assert move(ordered(order(2), *GONE), **back) == ROLLED_BACK
    assert move(ordered(order(2, recall=True), *GONE), **back) == INCOMPLETE


def test_a_wave_that_was_not_under_way_is_not_told_to_have_gone_back() -> None:
    assert move(ordered(order(2), *GONE), **dict.fromkeys("abcd", BACK)) == ROLLED_BACK


@pytest.mark.parametrize(
    ("before", "event"),
    [
        (Run.SUCCEEDED, SUCCEEDED),
        (Run.ROLLED_BACK, ROLLED_BACK),
        (Run.ROLLBACK_INCOMPLETE, INCOMPLETE),
        (Run.HALTED, e.RunHalted(reason="single targets were rolled back: no answer", by="ann")),
        (Run.RUNNING, e.RunHalted(reason="single targets were rolled back: no answer", by="ann")),
    ],
)
def test_when_who_was_named_is_back_the_run_is_what_it_was_whatever_befell_others(
    before: Run, event: e.ReleaseEvent
) -> None:
    run = ordered(order(2, targets="a"), before=before)

    assert move(run, a=BACK, b=HEALTHY, c=STUCK, d=BROKEN) == event


def test_who_was_named_and_could_not_be_restored_leaves_the_rollback_incomplete() -> None:
    run = ordered(order(2, targets="a"), before=Run.SUCCEEDED)

    assert move(run, a=STUCK, b=HEALTHY, c=HEALTHY, d=HEALTHY) == INCOMPLETE
