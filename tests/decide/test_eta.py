"""When each target's turn is expected: the run played through at the pace, in the windows and with the bakes it has."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.decide.eta import USUAL, estimate, typical
from pipeline.model.fleet import Freeze, Window
from pipeline.model.plan import Plan, TargetEta, Wave, WaveKind
from pipeline.model.policy import Pace
from tests.decide.runs import NOW, a_plan, a_wave, paced, t

FIVE = timedelta(minutes=5)
LATER = Window(days=("mon",), start="15:00", end="20:00", timezone="UTC")
"""NOW is a Monday at nine."""
TOMORROW = Window(days=("tue",), start="09:00", end="10:00", timezone="UTC")


def windowed(plan: Plan, **windows: Window) -> Plan:
    targets = (replace(x, window=windows.get(x.id.owner, x.window)) for x in plan.targets)
    return replace(plan, targets=tuple(targets))


def told(plan: Plan) -> list[tuple[str, int, str]]:
    """(client, wave, how long after the plan was made)"""
    found = [(eta.id.owner, eta.wave, str(eta.start - NOW)) for eta in estimate(plan, FIVE)]
    assert all(eta.finish == eta.start + FIVE for eta in estimate(plan, FIVE))
    return found


SERVICE = a_wave("@intake", kind=WaveKind.SERVICE)
CANARY = a_wave("acme", kind=WaveKind.CANARY)


def test_waves_follow_one_another_with_their_bakes_between() -> None:
    plan = a_plan(SERVICE, CANARY, a_wave("birch"))

    assert told(plan) == [("@intake", 0, "0:00:00"), ("acme", 1, "1:05:00"), ("birch", 2, "2:10:00")]


def test_one_estimate_says_when_a_turn_begins_and_ends() -> None:
    assert estimate(a_plan(CANARY), FIVE) == (TargetEta(id=t("acme"), wave=0, start=NOW, finish=NOW + FIVE),)


def test_a_canary_goes_one_by_one() -> None:
    plan = a_plan(a_wave("acme", "birch", kind=WaveKind.CANARY))

    assert told(plan) == [("acme", 0, "0:00:00"), ("birch", 0, "0:05:00")]


def test_no_more_go_at_once_than_have_been_won() -> None:
    plan = a_plan(CANARY, a_wave("b", "c", "d", "e", "f"))

    # one is won, then two, then what is left
    assert [start for _, _, start in told(plan)[1:]] == [
        "1:05:00",
        "1:10:00",
        "1:10:00",
        "1:15:00",
        "1:15:00",
    ]


def test_at_full_pace_all_go_at_once_up_to_the_limit() -> None:
    plan = a_plan(paced(a_wave("a", "b", "c"), Pace.FULL, max_in_flight=2))

    assert [start for _, _, start in told(plan)] == ["0:00:00", "0:00:00", "0:05:00"]


def test_regions_of_one_client_go_one_after_the_other() -> None:
    plan = a_plan(paced(a_wave("acme", "acme/eu-west-1", "birch"), Pace.FULL))

    assert [(str(eta.id), str(eta.start - NOW)) for eta in estimate(plan, FIVE)] == [
        ("acme/us-east-1", "0:00:00"),
        ("birch/us-east-1", "0:00:00"),
        ("acme/eu-west-1", "0:05:00"),
    ]


def test_a_late_client_goes_with_the_next_wave_and_holds_nobody_up() -> None:
    plan = windowed(a_plan(CANARY, a_wave("birch", "cedar"), _empty(3)), cedar=LATER)

    assert told(plan) == [("acme", 0, "0:00:00"), ("birch", 1, "1:05:00"), ("cedar", 2, "6:00:00")]


def test_a_late_client_whose_window_has_opened_by_then_goes_in_its_turn() -> None:
    soon = replace(LATER, start="10:00")
    plan = windowed(a_plan(CANARY, a_wave("birch", "cedar"), _empty(3)), cedar=soon)

    assert told(plan)[-1] == ("cedar", 1, "1:10:00")


def test_a_whole_wave_of_late_clients_lets_the_others_go_before_it() -> None:
    waves = (CANARY, a_wave("birch"), a_wave("cedar", number=3), _empty(4))
    plan = windowed(a_plan(*waves), birch=TOMORROW)

    assert told(plan) == [
        ("acme", 0, "0:00:00"),
        ("cedar", 2, "1:05:00"),
        ("birch", 3, "1 day, 0:00:00"),
    ]


def test_a_canary_waits_for_its_window() -> None:
    plan = windowed(a_plan(CANARY, a_wave("birch")), acme=LATER)

    assert told(plan) == [("acme", 0, "6:00:00"), ("birch", 1, "7:05:00")]


def test_a_freeze_is_waited_out() -> None:
    plan = a_plan(CANARY)
    freeze = Freeze(reason="why", start=NOW, end=NOW + timedelta(days=2))
    frozen = replace(plan, targets=tuple(replace(x, freezes=(freeze,)) for x in plan.targets))

    assert told(frozen) == [("acme", 0, "2 days, 0:00:00")]


def test_nobody_is_forgotten_and_a_large_fleet_is_played_through_at_once() -> None:
    many = a_wave(*(f"c{n}" for n in range(3000)))
    windows = {f"c{n}": TOMORROW for n in range(0, 3000, 7)}
    plan = windowed(a_plan(CANARY, replace(many, max_in_flight=1), _empty(3)), **windows)
    etas = estimate(plan, timedelta(seconds=1))

    assert {eta.id for eta in etas} == {x.id for x in plan.targets}
    assert all(eta.start >= datetime(2026, 1, 6, 9, tzinfo=NOW.tzinfo) for eta in etas if eta.wave == 2)


def test_a_deployment_takes_as_long_as_most_of_those_before() -> None:
    seen = [timedelta(seconds=seconds) for seconds in (9, 1, 700, 8, 7)]

    assert typical(seen) == timedelta(seconds=8)
    assert typical([]) == USUAL


def _empty(number: int) -> Wave:
    return a_wave(number=number)
