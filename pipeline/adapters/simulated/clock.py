"""Room: adapters/simulated. Virtual time: it stands still until somebody sleeps. It never asks the machine."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

__all__ = ["START", "SimulatedClock"]

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""A Monday morning."""


class SimulatedClock:
    """ports.Clock. Sleeping jumps; many threads may share one clock."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> datetime:
        # Reading one reference is atomic; the lock is only for those who move the clock.
        return self._now

    def sleep(self, duration: timedelta) -> None:
        self.advance(max(timedelta(0), duration))

    def advance(self, duration: timedelta) -> None:
        """A negative duration sets the clock back, as a bad time server does."""
        with self._lock:
            self._now += duration
