"""When a client may be changed: by its own clock, whatever is done to that clock, and not while it is frozen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decide.windows import held_because, is_open, opens_at
from pipeline.errors import UsageError
from pipeline.model.fleet import Freeze, Window
from pipeline.model.plan import PlannedTarget
from tests.decide.runs import NOW, planned, t

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NEW_YORK = Window(days=("mon", "tue"), start="06:00", end="10:00", timezone="America/New_York")
ACME = planned(t("acme"))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def within(window: Window, *freezes: Freeze) -> PlannedTarget:
    return replace(ACME, window=window, freezes=freezes)


def frozen(start: str, end: str, reason: str = "year's end", **scope: str) -> Freeze:
    return Freeze(reason=reason, start=at(start), end=at(end), **scope)


# --- a week -------------------------------------------------------------------------------------


def test_a_client_without_a_window_may_be_changed_at_once() -> None:
    assert opens_at(ACME, NOW) == NOW


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-01-05T11:00+00:00", "2026-01-05T11:00+00:00"),  # Monday 06:00 there
        ("2026-01-05T14:59:59.999+00:00", "2026-01-05T14:59:59.999+00:00"),
        ("2026-01-05T15:00+00:00", "2026-01-06T11:00+00:00"),
        ("2026-01-06T15:00+00:00", "2026-01-12T11:00+00:00"),
        ("2026-01-11T23:00+00:00", "2026-01-12T11:00+00:00"),
        ("2026-07-05T23:00+00:00", "2026-07-06T10:00+00:00"),  # in summer an hour earlier
    ],
)
def test_a_window_is_read_off_the_clients_own_clock(now: str, opens: str) -> None:
    assert opens_at(within(NEW_YORK), at(now)) == at(opens)


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    night = within(Window(days=("fri",), start="22:00", end="04:00", timezone="Europe/Berlin"))

    assert opens_at(night, at("2026-01-09T03:00+01:00")) == at("2026-01-09T22:00+01:00")  # Friday, early
    assert opens_at(night, at("2026-01-10T03:59+01:00")) == at("2026-01-10T03:59+01:00")  # Saturday, early
    assert opens_at(night, at("2026-01-10T04:00+01:00")) == at("2026-01-16T22:00+01:00")


def test_a_window_that_opens_at_this_very_instant_is_told_in_the_askers_own_zone() -> None:
    asked = at("2026-01-05T13:55+03:00")
    opens = opens_at(within(NEW_YORK), asked)

    assert (opens, opens.utcoffset()) == (at("2026-01-05T11:00+00:00"), asked.utcoffset())


# --- when clocks are moved -------------------------------------------------------------------------


def test_a_window_that_begins_in_the_missing_hour_opens_when_the_clocks_have_jumped() -> None:
    jumped = within(Window(days=("sun",), start="02:30", end="05:00", timezone="America/New_York"))

    assert opens_at(jumped, at("2026-03-08T06:00+00:00")) == at("2026-03-08T07:00+00:00")


def test_a_window_inside_the_missing_hour_does_not_open_that_day() -> None:
    missing = within(Window(days=("sun",), start="02:15", end="02:45", timezone="America/New_York"))

    assert opens_at(missing, at("2026-03-08T00:00-05:00")) == at("2026-03-15T02:15-04:00")


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    twice = Window(days=("sun",), start="01:00", end="01:30", timezone="America/New_York")

    assert opens_at(within(twice), at("2026-11-01T00:00-04:00")) == at("2026-11-01T01:00-04:00")
    assert opens_at(within(twice), at("2026-11-01T01:45-04:00")) == at("2026-11-01T01:00-05:00")
    assert opens_at(within(twice), at("2026-11-01T01:30-05:00")) == at("2026-11-08T01:00-05:00")


def test_a_window_that_begins_inside_the_hour_that_comes_twice_begins_twice() -> None:
    inside = Window(days=("sun",), start="01:30", end="01:45", timezone="America/New_York")

    assert opens_at(within(inside), at("2026-11-01T01:50-04:00")) == at("2026-11-01T01:30-05:00")


def test_clocks_set_back_into_a_window_open_it_again() -> None:
    ended = Window(days=("sun",), start="00:30", end="01:15", timezone="America/New_York")

    assert opens_at(within(ended), at("2026-11-01T01:20-04:00")) == at("2026-11-01T01:00-05:00")


def test_a_day_that_never_was_has_no_window_and_the_night_after_it_counts() -> None:
    # Samoa went from Thursday the 29th to Saturday the 31st of December 2011.
    friday = Window(days=("fri",), start="10:00", end="12:00", timezone="Pacific/Apia")
    night = replace(friday, start="22:00", end="04:00")

    assert opens_at(within(friday), at("2011-12-29T09:00-10:00")) == at("2012-01-06T10:00+14:00")
    assert opens_at(within(night), at("2011-12-29T09:00-10:00")) == at("2011-12-31T00:00+14:00")


ZONES = (
    "UTC",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Santiago",
    "Africa/Casablanca",
)
slots = st.integers(0, 287)
windows = st.builds(
    lambda days, start, length, zone: Window(
        days=tuple(days),
        start=f"{start // 12:02}:{start % 12 * 5:02}",
        end=f"{(start + length) % 288 // 12:02}:{(start + length) % 12 * 5:02}",
        timezone=zone,
    ),
    st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
    st.integers(0, 48) | slots,
    st.integers(1, 24) | st.integers(1, 287),
    st.sampled_from(ZONES),
)
moments = st.one_of(
    st.integers(0, 2 * 365 * 288).map(lambda n: at("2026-01-01T00:00+00:00") + timedelta(minutes=5) * n),
    # around the days on which some of these clocks are moved
    st.builds(
        lambda day, n: at(day) + timedelta(minutes=5) * n,
        st.sampled_from(
            ["2026-03-08T00:00+00:00", "2026-03-29T00:00+00:00", "2026-11-01T00:00+00:00",
             "2026-04-05T00:00+00:00", "2026-09-06T00:00+00:00", "2026-10-25T00:00+00:00"]
        ),
        st.integers(-288, 400),
    ),
)  # fmt: skip


def _open_slots(window: Window) -> set[tuple[int, int]]:
    """(weekday, five minutes of the day) that the wall clock shows inside the window."""
    start, end = (int(text[:2]) * 12 + int(text[3:]) // 5 for text in (window.start, window.end))
    length = (end - start) % 288 or 288
    found = set()
    for day in window.days:
        for slot in range(start, start + length):
            found.add(((DAYS.index(day) + slot // 288) % 7, slot % 288))
    return found


@given(window=windows, now=moments)
@settings(max_examples=150, deadline=None)
def test_a_window_opens_at_the_first_instant_at_which_the_clock_shows_it(
    window: Window, now: datetime
) -> None:
    inside, zone = _open_slots(window), ZoneInfo(window.timezone)

    def shows(moment: datetime) -> bool:
        local = moment.astimezone(zone)
        return (local.weekday(), local.hour * 12 + local.minute // 5) in inside

    opens = opens_at(within(window), now)
    closed = now
    while closed < opens:
        assert not shows(closed), closed
        closed += timedelta(minutes=5)

    assert opens >= now
    assert shows(opens)
    assert is_open(window, opens)


@given(window=windows, now=moments, later=st.integers(0, 2000))
@settings(max_examples=100, deadline=None)
def test_waiting_never_opens_a_window_earlier(window: Window, now: datetime, later: int) -> None:
    target, then = within(window), now + timedelta(minutes=5) * later

    assert opens_at(target, then) >= opens_at(target, now)
    assert opens_at(target, opens_at(target, now)) == opens_at(target, now)


# --- freezes --------------------------------------------------------------------------------------


def test_a_freeze_holds_from_its_start_until_just_before_its_end() -> None:
    target = replace(ACME, freezes=(frozen("2026-12-24T00:00+00:00", "2027-01-02T00:00+00:00"),))

    assert opens_at(target, at("2026-12-23T23:59+00:00")) == at("2026-12-23T23:59+00:00")
    assert opens_at(target, at("2026-12-24T00:00+00:00")) == at("2027-01-02T00:00+00:00")
    assert opens_at(target, at("2027-01-02T00:00+00:00")) == at("2027-01-02T00:00+00:00")


def test_after_a_freeze_the_client_waits_for_its_window_and_perhaps_for_the_next_freeze() -> None:
    target = within(
        NEW_YORK,
        frozen("2026-01-04T00:00+00:00", "2026-01-05T18:00+00:00"),
        frozen("2026-01-06T00:00+00:00", "2026-01-06T12:30+00:00", "their launch"),
    )

    assert opens_at(target, at("2026-01-05T12:00+00:00")) == at("2026-01-06T12:30+00:00")


freezes = st.lists(
    st.builds(
        lambda now, start, length: Freeze(
            reason="why", start=now + timedelta(hours=start), end=now + timedelta(hours=start + length)
        ),
        st.just(NOW),
        st.integers(-50, 200),
        st.integers(1, 60),
    ),
    max_size=5,
)


@given(window=st.none() | windows, held=freezes, hours=st.integers(-60, 260))
@settings(max_examples=150, deadline=None)
def test_nobody_is_ever_told_to_begin_while_frozen_or_outside_the_window(
    window: Window | None, held: list[Freeze], hours: int
) -> None:
    target = replace(ACME, window=window, freezes=tuple(held))
    now = NOW + timedelta(hours=hours)
    opens = opens_at(target, now)

    assert opens >= now
    assert not any(freeze.start <= opens < freeze.end for freeze in held)
    assert window is None or is_open(window, opens)
    assert held_because(target, opens) == ""
    assert (held_because(target, now) == "") == (opens == now)


def test_why_a_client_has_to_wait_is_told_in_its_own_time() -> None:
    freeze = frozen("2026-01-05T00:00+00:00", "2026-01-05T12:00+00:00", "their launch", client="acme")

    assert held_because(within(NEW_YORK), at("2026-01-05T16:00+00:00")) == (
        "its window opens at Tue 2026-01-06 06:00 America/New_York"
    )
    assert held_because(within(NEW_YORK, freeze), at("2026-01-05T11:30+00:00")) == (
        "acme is frozen until 2026-01-05 12:00Z: their launch"
    )


def test_of_two_freezes_the_one_that_holds_longer_is_told() -> None:
    both = replace(
        ACME,
        freezes=(
            frozen("2026-01-01T00:00+00:00", "2026-02-01T00:00+00:00", "audit", service="intake"),
            frozen("2026-01-01T00:00+00:00", "2026-01-15T00:00+00:00"),
        ),
    )

    assert held_because(both, NOW) == "intake is frozen until 2026-02-01 00:00Z: audit"
    assert opens_at(both, NOW) == at("2026-02-01T00:00+00:00")


# --- faults ---------------------------------------------------------------------------------------


def test_a_time_zone_that_this_machine_does_not_know_is_told_and_never_taken_for_open() -> None:
    lost = within(replace(NEW_YORK, timezone="Mars/Olympus"))

    with pytest.raises(UsageError) as told:
        opens_at(lost, datetime(2026, 1, 5, 12, tzinfo=UTC))
    assert (told.value.problem, told.value.state, told.value.remedy) == (
        "this machine does not know the time zone Mars/Olympus",
        "nothing was begun",
        "install the time zone database (the system's, or `pip install tzdata`) and go on",
    )


def test_a_window_that_never_opens_is_told() -> None:
    never = within(replace(NEW_YORK, days=("never", "ever")))

    with pytest.raises(UsageError) as told:
        opens_at(never, NOW)
    assert (told.value.problem, told.value.state, told.value.remedy) == (
        "a window on never, ever from 06:00 to 10:00 America/New_York never opens",
        "nothing was begun",
        "correct that client's window in fleet.toml and make a new plan",
    )
