"""Never bet more than has been won: how many targets may start, by number and by name."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.pace import failed_in, in_flight_in, may_start, next_claims
from pipeline.model.ids import TargetId
from pipeline.model.plan import Plan, Wave, WaveKind
from pipeline.model.policy import Pace
from pipeline.model.run_state import Run, RunState, WaveState, WaveStatus
from pipeline.model.target_state import Phase, TargetState
from tests.decide.runs import NOW, a_plan, a_wave, paced, states, t

IN_FLIGHT = (Phase.CLAIMED, Phase.DEPLOYING, Phase.VERIFYING, Phase.ROLLING_BACK)
FAILED = (Phase.FAILED, Phase.UNKNOWN, Phase.ROLLBACK_FAILED, Phase.QUARANTINED)
WAVE = a_wave("a", "b", "c", "d", "e")


def run_in(plan: Plan, number: int, *, claimed: str = "", forgiven: str = "") -> RunState:
    """A run whose waves before `number` have passed. claimed, forgiven: names of clients."""
    waves = [WaveState(status=WaveStatus.PASSED) for _ in range(number)]
    claims = frozenset(t(name) for name in claimed.split())
    waves.append(WaveState(status=WaveStatus.DEPLOYING, claimed=claims))
    waves += [WaveState() for _ in plan.waves[number + 1 :]]
    return RunState(
        run=Run.RUNNING, waves=tuple(waves), forgiven=frozenset(t(name) for name in forgiven.split())
    )


def claims(wave: Wave, run: RunState | None = None, **phases: Phase | TargetState) -> str:
    """Who of a plan's only wave is claimed next, by name."""
    plan = a_plan(wave)
    found = next_claims(plan, 0, run or run_in(plan, 0), states(plan, **phases), NOW)
    return " ".join(str(target).removesuffix("/us-east-1") for target in found)


# --- by number ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [WaveKind.SERVICE, WaveKind.CANARY])
@pytest.mark.parametrize(
    ("failed", "in_flight", "healthy", "room"),
    [(0, 0, 0, 1), (0, 0, 99, 1), (0, 1, 0, 0), (0, 1, 99, 0), (1, 0, 0, 0), (1, 1, 0, 0)],
)
@pytest.mark.parametrize("pace", list(Pace))
def test_service_and_canary_go_one_by_one_whatever_pace_is_asked_for(
    kind: WaveKind, pace: Pace, failed: int, in_flight: int, healthy: int, room: int
) -> None:
    wave = paced(a_wave("a", "b", kind=kind), pace, max_in_flight=10)

    assert may_start(wave, failed=failed, in_flight=in_flight, healthy_so_far=healthy) == room


def test_a_tolerance_does_not_let_a_canary_bet_on_top_of_a_failure() -> None:
    wave = paced(a_wave("a", "b", kind=WaveKind.CANARY), Pace.STRICT, tolerance=3)

    assert may_start(wave, failed=1, in_flight=0, healthy_so_far=5) == 0


@pytest.mark.parametrize(
    ("in_flight", "healthy", "room"),
    [
        (0, 0, 1),
        (1, 0, 0),
        (0, 1, 1),
        (0, 2, 2),
        (1, 2, 1),
        (2, 2, 0),
        (3, 2, 0),
        (0, 4, 4),
        (0, 5, 4),
        (1, 99, 3),
        (4, 99, 0),
    ],
)
def test_a_wave_has_no_more_in_flight_than_have_been_won_nor_than_its_limit(
    in_flight: int, healthy: int, room: int
) -> None:
    wave = paced(WAVE, Pace.WON, max_in_flight=4)

    assert may_start(wave, failed=0, in_flight=in_flight, healthy_so_far=healthy) == room


@pytest.mark.parametrize(
    ("tolerance", "failed", "in_flight", "room"),
    [
        (0, 0, 0, 1),
        (0, 0, 1, 0),
        (0, 1, 0, 0),
        (2, 0, 0, 3),
        (2, 0, 2, 1),
        (2, 1, 0, 2),
        (2, 1, 2, 0),
        (2, 2, 0, 1),
        (2, 2, 1, 0),
        (2, 3, 0, 0),
        (9, 0, 0, 4),
        (9, 8, 0, 2),
    ],
)
def test_a_strict_wave_bets_no_more_than_its_tolerance_and_one(
    tolerance: int, failed: int, in_flight: int, room: int
) -> None:
    wave = paced(WAVE, Pace.STRICT, tolerance=tolerance, max_in_flight=4)

    assert may_start(wave, failed=failed, in_flight=in_flight, healthy_so_far=99) == room


@pytest.mark.parametrize(("in_flight", "room"), [(0, 4), (3, 1), (4, 0), (5, 0)])
def test_a_full_wave_is_held_by_its_limit_alone(in_flight: int, room: int) -> None:
    wave = paced(WAVE, Pace.FULL, max_in_flight=4)

    assert may_start(wave, failed=0, in_flight=in_flight, healthy_so_far=0) == room


@pytest.mark.parametrize("pace", list(Pace))
@pytest.mark.parametrize("tolerance", [0, 1, 3])
def test_nothing_starts_once_more_have_failed_than_are_tolerated(pace: Pace, tolerance: int) -> None:
    wave = paced(WAVE, pace, tolerance=tolerance)

    assert may_start(wave, failed=tolerance + 1, in_flight=0, healthy_so_far=99) == 0
    assert may_start(wave, failed=tolerance, in_flight=0, healthy_so_far=99) > 0


# --- what counts -------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_counts_as_failed_or_in_flight_or_neither(phase: Phase) -> None:
    plan = a_plan(WAVE)
    found = states(plan, b=phase)

    assert failed_in(WAVE.targets, run_in(plan, 0), found) == ((t("b"),) if phase in FAILED else ())
    assert in_flight_in(WAVE.targets, frozenset(), found) == ((t("b"),) if phase in IN_FLIGHT else ())


def test_a_claim_that_has_not_begun_is_in_flight_until_it_has_ended() -> None:
    found = states(a_plan(WAVE), b=Phase.HEALTHY, c=Phase.FAILED)
    claimed = frozenset({t("a"), t("b"), t("c")})

    assert in_flight_in(WAVE.targets, claimed, found) == (t("a"),)


def test_what_a_person_has_forgiven_no_longer_counts_as_failed() -> None:
    plan = a_plan(WAVE)
    found = states(plan, a=Phase.FAILED, b=Phase.UNKNOWN)

    assert failed_in(WAVE.targets, run_in(plan, 0, forgiven="a"), found) == (t("b"),)


# --- by name -----------------------------------------------------------------------------------


def test_a_wave_with_nothing_won_starts_with_one_target() -> None:
    assert claims(WAVE) == "a"


def test_each_healthy_target_wins_one_more_at_once() -> None:
    assert claims(WAVE, a=Phase.HEALTHY) == "b"
    assert claims(WAVE, a=Phase.HEALTHY, b=Phase.HEALTHY) == "c d"


def test_targets_won_in_earlier_waves_count() -> None:
    plan = a_plan(a_wave("@intake", kind=WaveKind.SERVICE), a_wave("k", kind=WaveKind.CANARY), WAVE)
    won = states(plan, intake=Phase.HEALTHY, k=Phase.HEALTHY)

    assert next_claims(plan, 2, run_in(plan, 2), won, NOW) == (t("a"), t("b"))


def test_a_failure_in_an_earlier_wave_that_passed_is_not_held_against_this_one() -> None:
    plan = a_plan(paced(a_wave("k", "l"), Pace.WON, tolerance=1), a_wave("a", "b", number=3))
    found = states(plan, k=Phase.FAILED, l=Phase.HEALTHY)

    assert next_claims(plan, 1, run_in(plan, 1), found, NOW) == (t("a"),)


@pytest.mark.parametrize("phase", FAILED)
def test_one_failure_of_any_kind_stops_the_claims(phase: Phase) -> None:
    assert claims(WAVE, a=phase, b=Phase.HEALTHY, c=Phase.HEALTHY) == ""


def test_a_skipped_target_neither_stops_the_claims_nor_wins_any() -> None:
    assert claims(WAVE, a=Phase.SKIPPED, b=Phase.SKIPPED, c=Phase.SKIPPED) == "d"


def test_a_wave_goes_on_over_what_was_forgiven() -> None:
    plan = a_plan(WAVE)

    assert claims(WAVE, run_in(plan, 0, claimed="a", forgiven="a"), a=Phase.UNKNOWN) == "b"


def test_a_canary_goes_on_over_what_was_forgiven_one_by_one() -> None:
    canary = a_wave("a", "b", "c", kind=WaveKind.CANARY)
    run = run_in(a_plan(canary), 0, forgiven="a")

    assert claims(canary, run, a=Phase.FAILED) == "b"
    assert claims(canary, run, a=Phase.FAILED, b=Phase.VERIFYING) == ""


def test_a_target_is_claimed_once() -> None:
    wave = paced(WAVE, Pace.FULL)

    assert claims(wave, run_in(a_plan(wave), 0, claimed="a b"), b=Phase.HEALTHY) == "c d e"


def test_a_claim_that_has_not_begun_takes_a_place() -> None:
    wave = paced(WAVE, Pace.FULL, max_in_flight=2)

    assert claims(wave, run_in(a_plan(wave), 0, claimed="a")) == "b"


def test_two_regions_of_one_client_are_not_claimed_together() -> None:
    wave = paced(a_wave("a", "a/eu-west-1", "b", "b/eu-west-1", "b/ap-south-1"), Pace.FULL)

    assert claims(wave) == "a b"


def test_a_clients_second_region_waits_for_its_first() -> None:
    wave = paced(a_wave("a", "a/eu-west-1", "b"), Pace.FULL)
    plan = a_plan(wave)
    found = states(plan)
    flying = {**found, t("a"): TargetState(phase=Phase.VERIFYING)}
    landed = {**found, t("a"): TargetState(phase=Phase.HEALTHY)}

    assert next_claims(plan, 0, run_in(plan, 0, claimed="a"), flying, NOW) == (t("b"),)
    assert next_claims(plan, 0, run_in(plan, 0, claimed="a"), landed, NOW) == (t("a/eu-west-1"), t("b"))


def test_a_client_whose_turn_it_is_not_leaves_its_place_to_the_next() -> None:
    wave = paced(a_wave("a", "a/eu-west-1", "b", "c"), Pace.STRICT, tolerance=1)

    assert claims(wave) == "a b"


# --- whatever the state ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Moment:
    plan: Plan
    run: RunState
    targets: dict[TargetId, TargetState]


@st.composite
def moments(draw: st.DrawFn) -> _Moment:
    """Any state of a run in its second wave, whether or not it could come about."""
    owners = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True))
    regions = ("us-east-1", "eu-west-1")
    names = [f"{owner}/{region}" for owner in owners for region in regions[: draw(st.integers(1, 2))]]
    kind = draw(st.sampled_from(WaveKind))
    wave = paced(
        a_wave(*names, kind=kind),
        draw(st.sampled_from(Pace)),
        tolerance=draw(st.integers(0, 3)) if kind is WaveKind.WAVE else 0,
        max_in_flight=draw(st.integers(1, 6)),
    )
    plan = a_plan(a_wave("y", "z", kind=WaveKind.CANARY), replace(wave, name="wave-9"))
    # Mostly what lets something start, else most moments would say nothing.
    likely = st.sampled_from([*[Phase.PENDING] * 6, *[Phase.HEALTHY] * 3, *Phase])
    phases = {target.id: draw(likely) for target in plan.targets}
    some = st.sets(st.sampled_from(wave.targets), max_size=3)
    run = RunState(
        run=Run.RUNNING,
        waves=(
            WaveState(status=WaveStatus.PASSED),
            WaveState(status=WaveStatus.DEPLOYING, claimed=frozenset(draw(some))),
        ),
        forgiven=frozenset(draw(some)),
    )
    return _Moment(plan, run, {target: TargetState(phase=phase) for target, phase in phases.items()})


def _flying(moment: _Moment, claimed: frozenset[TargetId]) -> list[TargetId]:
    wave = moment.plan.waves[1]
    return [
        target
        for target in wave.targets
        if moment.targets[target].phase in IN_FLIGHT
        or (target in claimed and moment.targets[target].phase is Phase.PENDING)
    ]


@given(moment=moments())
def test_no_claim_ever_bets_more_than_has_been_won(moment: _Moment) -> None:
    wave, run = moment.plan.waves[1], moment.run
    claimed = next_claims(moment.plan, 1, run, moment.targets, NOW)
    failed = sum(
        1 for target in wave.targets if moment.targets[target].phase in FAILED and target not in run.forgiven
    )
    flying = len(_flying(moment, run.wave(1).claimed | frozenset(claimed)))
    healthy = sum(1 for state in moment.targets.values() if state.phase is Phase.HEALTHY)
    if not claimed:
        return

    assert failed <= wave.tolerance
    assert flying <= wave.max_in_flight or wave.kind is not WaveKind.WAVE
    match wave.kind, wave.pace:
        case ((WaveKind.SERVICE | WaveKind.CANARY), _):
            assert failed + flying <= 1
        case WaveKind.WAVE, Pace.WON:
            assert flying <= max(1, healthy)
        case WaveKind.WAVE, Pace.STRICT:
            assert failed + flying <= wave.tolerance + 1
        case _:
            assert wave.pace is Pace.FULL


@given(moment=moments())
def test_claims_are_pending_targets_in_the_plans_order_and_one_region_of_a_client(moment: _Moment) -> None:
    wave, before = moment.plan.waves[1], moment.run.wave(1).claimed
    claimed = next_claims(moment.plan, 1, moment.run, moment.targets, NOW)
    owners = [target.owner for target in _flying(moment, before | frozenset(claimed))]

    assert claimed == tuple(target for target in wave.targets if target in claimed)
    assert all(moment.targets[target].phase is Phase.PENDING for target in claimed)
    assert not before & set(claimed)
    assert all(owners.count(target.owner) == 1 for target in claimed)


@given(moment=moments())
def test_no_place_that_has_been_won_is_left_empty(moment: _Moment) -> None:
    """Who is not claimed has a Region of its client in flight before it, or there is no room."""
    wave, before = moment.plan.waves[1], moment.run.wave(1).claimed
    claimed = next_claims(moment.plan, 1, moment.run, moment.targets, NOW)
    flying = _flying(moment, before | frozenset(claimed))
    owners = {target.owner for target in flying}
    left = [
        target
        for target in wave.targets
        if moment.targets[target].phase is Phase.PENDING
        and target not in before | set(claimed)
        and target.owner not in owners
    ]
    failed = len(failed_in(wave.targets, moment.run, moment.targets))
    healthy = sum(1 for state in moment.targets.values() if state.phase is Phase.HEALTHY)

    assert not left or not may_start(wave, failed=failed, in_flight=len(flying), healthy_so_far=healthy)
