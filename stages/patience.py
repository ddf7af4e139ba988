"""Floor 3, stages: waiting, with a growing pause and an end. Nothing else here touches the clock."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from pipeline.errors import AccessRefused, AccountUnusable, ReleaseError, Throttled
from pipeline.ports import Clock

__all__ = ["NOT_YET", "patiently", "wait_until"]

T = TypeVar("T")

NOT_YET: tuple[type[ReleaseError], ...] = (AccessRefused, AccountUnusable, Throttled)
"""What a young account, or a role made a moment ago, answers until AWS knows it everywhere."""

_random = secrets.SystemRandom()


def _spread() -> float:
    return _random.uniform(0.8, 1.2)


_FIRST = timedelta(milliseconds=150)
_LONGEST = timedelta(seconds=15)
_GROWTH = 1.6


def wait_until(
    clock: Clock, look: Callable[[], T | None], limit: timedelta, late: Callable[[], ReleaseError]
) -> T:
    """What `look` finds, as soon as it finds something; `late()` is raised once the limit has passed.

    Throttled answers are waited out like any other. look: called at once, then after growing pauses.
    """
    end = clock.now() + limit
    pause = _FIRST
    while True:
        try:
            found = look()
        except Throttled:
            found = None
        if found is not None:
            return found
        if clock.now() >= end:
            raise late()
        # Jitter: many accounts wait at once and must not ask at once.
        clock.sleep(pause * _spread())
        pause = min(pause * _GROWTH, _LONGEST)


def patiently(
    clock: Clock,
    call: Callable[[], T],
    limit: timedelta,
    meanwhile: tuple[type[ReleaseError], ...] = NOT_YET,
    spread: Callable[[], float] = _spread,
) -> T:
    """The answer of `call`, repeated while it fails with one of `meanwhile`; that failure once the limit has
    passed. Only for calls that may be repeated. spread: what each pause is multiplied by."""
    end = clock.now() + limit
    pause = _FIRST
    while True:
        try:
            return call()
        except meanwhile:
            if clock.now() >= end:
                raise
        clock.sleep(pause * spread())
        pause = min(pause * _GROWTH, _LONGEST)
