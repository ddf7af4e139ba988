"""Floor 2, windows: when a target may be begun with. Pure: the time is given, time zones are tables.

A window is read off the client's own wall clock: it is open while that clock shows one of its days and a time from
its start until just before its end; past midnight it belongs to the day on which it began. So where the clocks jump
over a time there is no such time that day (a window that lies wholly inside the jump does not open), and a time that
comes twice counts twice. A freeze is a span of instants. Both rule when a target is begun with, not when it is over:
what is in flight is let finish, and a rollback waits for neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.errors import UsageError
from pipeline.model.fleet import Freeze, Window
from pipeline.model.plan import PlannedTarget

__all__ = ["frozen_by", "held_because", "is_open", "opens_at"]

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
_SEARCHED = 23
"""Days ahead in which a weekly window opens at least once, even where clocks skip two of its days."""


def opens_at(target: PlannedTarget, now: datetime) -> datetime:
    """`now` where the target may be begun with, or else the next instant at which it may. now: aware.

    UsageError where this machine does not know the window's time zone, or the window never opens.
    """
    at = now
    for _ in range(2 * len(target.freezes) + 2):
        freeze = frozen_by(target, at)
        later = freeze.end if freeze is not None else at
        if target.window is not None:
            later = _next_open(target.window, later)
        if later == at:
            return at
        at = later
    return at


def held_because(target: PlannedTarget, now: datetime) -> str:
    """Why the target may not be begun with now, in words; empty where it may."""
    freeze = frozen_by(target, now)
    if freeze is not None:
        return f"{freeze.scope} is frozen until {_moment(freeze.end)}: {freeze.reason}"
    if target.window is not None and not is_open(target.window, now):
        opening = opens_at(target, now).astimezone(_zone(target.window))
        return f"its window opens at {opening:%a %Y-%m-%d %H:%M} {target.window.timezone}"
    return ""


def frozen_by(target: PlannedTarget, now: datetime) -> Freeze | None:
    """Of the freezes that hold now, the one that ends last."""
    holding = [freeze for freeze in target.freezes if freeze.start <= now < freeze.end]
    return max(holding, key=lambda freeze: freeze.end, default=None)


def is_open(window: Window, now: datetime) -> bool:
    """Whether the client's wall clock stands inside the window. now: aware."""
    local = now.astimezone(_zone(window))
    clock, start, end = local.time(), time.fromisoformat(window.start), time.fromisoformat(window.end)
    today, yesterday = (_WEEKDAYS[(local.weekday() - back) % 7] in window.days for back in (0, 1))
    if start < end:
        return today and start <= clock < end
    return (today and clock >= start) or (yesterday and clock < end)


def _next_open(window: Window, now: datetime) -> datetime:
    if is_open(window, now):
        return now
    day = now.astimezone(_zone(window)).date() - _DAY
    for _ in range(_SEARCHED):
        found = sorted(at for at in _openings(window, day) if at >= now and is_open(window, at))
        if found:
            return found[0].astimezone(now.tzinfo)
        day += _DAY
    raise UsageError(
        f"a window on {', '.join(window.days)} from {window.start} to {window.end} {window.timezone} never opens",
        state="nothing was begun",
        remedy="correct that client's window in fleet.toml and make a new plan",
    )


def _openings(window: Window, day: date) -> Iterator[datetime]:
    """Instants of a local day at which the window may open: its start, both of them where the clock shows it
    twice, and the instant at which the clocks were moved, if they were."""
    zone = _zone(window)
    nominal = datetime.combine(day, time.fromisoformat(window.start))
    for fold in (0, 1):
        yield nominal.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    midnight, next_midnight = (
        datetime.combine(date_, time(), tzinfo=zone).astimezone(UTC) for date_ in (day, day + _DAY)
    )
    just = timedelta(seconds=1)
    yield from _moved(zone, midnight - just, next_midnight - just)


def _moved(zone: ZoneInfo, low: datetime, high: datetime) -> Iterator[datetime]:
    """The instant between two at which the clocks of a zone were moved, to the second; none where they were not."""
    if _offset(zone, low) == _offset(zone, high):
        return
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (middle, high) if _offset(zone, middle) == _offset(zone, low) else (low, middle)
    yield high


def _offset(zone: ZoneInfo, at: datetime) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


def _zone(window: Window) -> ZoneInfo:
    try:
        return ZoneInfo(window.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise UsageError(
            f"this machine does not know the time zone {window.timezone}",
            state="nothing was begun",
            remedy="install the time zone database (the system's, or `pip install tzdata`) and go on",
        ) from fault


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"
