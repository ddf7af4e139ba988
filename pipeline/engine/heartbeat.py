"""Floor 3, engine: keeps the lease alive, and knows when it is lost. Touches nothing else."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from pipeline.engine.world import LEASE_TTL
from pipeline.errors import FenceLost, ReleaseError
from pipeline.ports import Clock, Lease, Leases

__all__ = ["Heartbeat"]


class Heartbeat:
    """Renews every third of the lease's life, from a thread of its own or, with `threaded=False`, when `beat` is
    called. A renewal that is refused stops the runner before its next write. ttl: what the lease was taken for."""

    def __init__(
        self,
        leases: Leases,
        clock: Clock,
        lease: Lease,
        *,
        threaded: bool = True,
        ttl: timedelta = LEASE_TTL,
    ) -> None:
        self._leases = leases
        self._clock = clock
        self._lease = lease
        self._ttl = ttl
        self._due = clock.now() + ttl / 3
        self._lost: FenceLost | None = None
        self._stop = threading.Event()
        self._thread = (
            threading.Thread(target=self._beat_on, name="heartbeat", daemon=True) if threaded else None
        )

    def __enter__(self) -> Heartbeat:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._leases.give_back(self._lease)

    def check(self) -> None:
        """FenceLost when the lease has gone to somebody else."""
        if self._thread is None:
            self._beat(self._clock.now())
        if self._lost is not None:
            raise self._lost

    def _beat_on(self) -> None:
        while not self._stop.wait(self._ttl / 3 / timedelta(seconds=1)):
            self._beat(self._clock.now())
            if self._lost is not None:
                return

    def _beat(self, now: datetime) -> None:
        if now < self._due:
            return
        try:
            self._lease = self._leases.renew(self._lease, self._ttl)
            self._due = now + self._ttl / 3
        except FenceLost as lost:
            self._lost = lost
        except ReleaseError:
            # The store did not answer; the lease still has two thirds of its life. Every append is fenced anyway.
            self._due = now + timedelta(seconds=1)
