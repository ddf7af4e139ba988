"""Whom the judge asks, for which hours, and how answers of several Regions become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.decide.judge.gathering import Asked, asked, is_randomised, merged, resolved, seed_of, windows
from pipeline.model.ids import TargetId
from pipeline.model.judgement import Role, Sample
from pipeline.model.judging import JudgePolicy
from pipeline.model.plan import CanaryDraw, EffectKind
from pipeline.model.run_state import RunState
from pipeline.model.target_state import Phase, TargetState
from tests.decide.judging import ERRORS, LATENCY
from tests.views.worlds import CANARY, SECOND, THIRD, a_plan, sha

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def states(**phases: Phase) -> dict[TargetId, TargetState]:
    """Canaries are healthy, all others wait; phases by client."""
    found = {target.id: TargetState() for target in a_plan().targets}
    found |= dict.fromkeys(CANARY, TargetState(phase=Phase.HEALTHY))
    return {t: replace(s, phase=phases.get(t.owner, s.phase)) for t, s in found.items()}


def roles(found: Sequence[Asked]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(a.client, a.role.value, tuple(t.id.region for t in a.targets)) for a in found]


def test_controls_are_clients_of_later_waves_that_still_wait_on_the_old_version() -> None:
    plan = a_plan()

    found = asked(plan, RunState(), states(maple=Phase.CLAIMED), 1)

    assert roles(found[:2]) == [("birch", "canary", ("us-east-1",)), ("cedar", "canary", ("eu-west-1",))]
    assert sorted(a.client for a in found[2:]) == ["acme", "acme", "elm", "oak"]
    assert all(a.role is Role.CONTROL for a in found[2:])


def test_two_regions_of_one_account_are_one_account() -> None:
    plan = a_plan()
    accounts = {t.id: t.account for t in plan.targets}
    accounts[SECOND[1]] = accounts[SECOND[0]]
    plan = replace(plan, targets=tuple(replace(t, account=accounts[t.id]) for t in plan.targets))

    found = asked(plan, RunState(), states(), 1)

    assert ("acme", "control", ("us-east-1", "eu-west-1")) in roles(found)


def test_a_stack_that_does_not_exist_yet_is_no_control() -> None:
    clients = {a.client for a in asked(a_plan(), RunState(), states(), 1)}

    assert THIRD[1].owner not in clients
    assert THIRD[0].owner in clients


def test_a_stack_that_runs_this_release_already_is_no_control() -> None:
    plan = a_plan()
    targets = (replace(t, effect=EffectKind.NOTHING) if t.id in SECOND else t for t in plan.targets)

    found = asked(replace(plan, targets=tuple(targets)), RunState(), states(), 1)

    assert [a.client for a in found if a.role is Role.CONTROL] == ["oak"]


def test_a_canary_that_is_not_healthy_is_not_weighed() -> None:
    found = asked(a_plan(), RunState(), states(birch=Phase.SKIPPED), 1)

    assert [a.client for a in found if a.role is Role.CANARY] == ["cedar"]


def test_a_client_deferred_to_a_later_wave_is_a_control_there() -> None:
    run = RunState(deferred=((CANARY[0], 2),))

    found = asked(a_plan(), run, states(birch=Phase.PENDING), 1)

    assert ("birch", "control", ("us-east-1",)) in roles(found)


def test_controls_of_the_canaries_strata_come_first_and_their_number_is_bounded() -> None:
    plan = a_plan()
    stratum = {"birch": "small", "cedar": "small", "oak": "small", "elm": "small"}
    plan = replace(
        plan,
        judge=JudgePolicy(controls=2),
        targets=tuple(replace(t, stratum=stratum.get(t.id.owner, "large")) for t in plan.targets),
    )

    found = asked(plan, RunState(), states(), 1)

    assert sorted(a.client for a in found if a.role is Role.CONTROL) == ["elm", "oak"]


def test_a_canary_counts_as_drawn_by_lot_only_where_the_plan_says_so() -> None:
    plan = a_plan()
    draw = CanaryDraw(seed="s", strata=(), canaries=("birch", "cedar"), randomised=True)

    assert [is_randomised(replace(plan, draw=draw), n) for n in (0, 1, 2)] == [False, True, False]
    assert not is_randomised(plan, 1)
    assert not is_randomised(replace(plan, draw=replace(draw, randomised=False)), 1)


def test_windows_are_whole_periods_old_enough_to_be_complete_and_the_same_hours_of_earlier_weeks() -> None:
    found = windows(
        JudgePolicy(weeks=2), NOON + timedelta(minutes=2), NOON + timedelta(minutes=62, seconds=30)
    )

    begin, end = NOON + timedelta(minutes=5), NOON + timedelta(minutes=55)
    week = timedelta(weeks=1)
    assert found == ((begin, end), (begin - week, end - week), (begin - 2 * week, end - 2 * week))


def test_a_bake_that_has_just_begun_has_no_window() -> None:
    assert windows(JudgePolicy(), NOON, NOON + timedelta(minutes=9)) == ()
    assert len(windows(JudgePolicy(), NOON, NOON + timedelta(minutes=10))) == 5


def test_a_dimension_is_filled_from_the_accounts_own_stack() -> None:
    spec = replace(
        ERRORS, dimensions=(("FunctionName", "{output:Form}"), ("Stack", "x-{stack}-y"), ("A", "b"))
    )

    found = resolved(spec, "svc-intake", {"Form": "svc-intake-Form-1"})

    assert found.dimensions == (
        ("FunctionName", "svc-intake-Form-1"),
        ("Stack", "x-svc-intake-y"),
        ("A", "b"),
    )
    with pytest.raises(ValueError, match="its stack has no output Form"):
        resolved(spec, "svc-intake", {})


def test_counts_of_regions_add_up_and_levels_are_weighed_by_requests() -> None:
    rates = [Sample(requests=10, errors=1), Sample(requests=30, errors=2)]
    levels = [Sample(requests=10, level=100), Sample(requests=30, level=1600)]

    assert merged(ERRORS, rates) == Sample(requests=40, errors=3)
    assert merged(LATENCY, levels) == Sample(requests=40, level=800)
    assert merged(LATENCY, levels[:1]) == levels[0]
    assert merged(ERRORS, []) is None


def test_a_seed_follows_from_plan_wave_and_look() -> None:
    seeds = {seed_of(sha(1), 1, 1), seed_of(sha(1), 1, 2), seed_of(sha(1), 2, 1), seed_of(sha(2), 1, 1)}

    assert len(seeds) == 4
    assert all(0 <= seed < 2**48 for seed in seeds)
