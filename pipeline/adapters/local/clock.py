"""Room: adapters/local. The machine's own clock. Nothing else in the house asks the machine for the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

__all__ = ["SystemClock"]


class SystemClock:
    """ports.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, duration: timedelta) -> None:
        time.sleep(max(0.0, duration.total_seconds()))
