"""Floor 3, stages: the leases of test accounts, kept alive while their holder works. Touches nothing else."""

from __future__ import annotations

import threading
from datetime import timedelta

from pipeline.errors import FenceLost, LeaseHeld, ReleaseError
from pipeline.ports import Clock, Lease, Leases

__all__ = ["LEASE_TTL", "LeaseKeeper", "lease_name", "worker_lease_name"]

LEASE_TTL = timedelta(seconds=60)


def lease_name(account: str) -> str:
    return f"account/{account}"


def worker_lease_name(account: str) -> str:
    """What a worker of the test run holds (pipeline/pytest_plugin.py)."""
    return f"worker-account/{account}"


class LeaseKeeper:
    """Holds any number of leases, renews them every third of their life, gives back what is left at the end.

    Time between renewals is real time, whatever the clock of a test says.
    """

    def __init__(self, leases: Leases, clock: Clock, holder: str) -> None:
        self._leases = leases
        self._clock = clock
        self._holder = holder
        self._held: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="account-leases", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for name in tuple(self._held):
            self.give_back(name)

    def take(self, name: str) -> bool:
        """False where another runner holds it."""
        try:
            lease = self._leases.take(name, self._holder, LEASE_TTL)
        except LeaseHeld:
            return False
        with self._lock:
            self._held[name] = lease
        return True

    def give_back(self, name: str) -> None:
        with self._lock:
            lease = self._held.pop(name, None)
        if lease is not None:
            self._leases.give_back(lease)

    def holds(self, name: str) -> bool:
        """Whether the store itself says so now."""
        with self._lock:
            lease = self._held.get(name)
        if lease is None:
            return False
        found = self._leases.current(name)
        return found is not None and found.fence == lease.fence and found.expires > self._clock.now()

    def _beat_on(self) -> None:
        while not self._stop.wait(LEASE_TTL / 3 / timedelta(seconds=1)):
            self.renew()

    def renew(self) -> None:
        with self._lock:
            held = tuple(self._held.items())
        for name, lease in held:
            try:
                renewed = self._leases.renew(lease, LEASE_TTL)
            except FenceLost:
                # Whoever asks `holds` next is told; nothing is deleted without asking.
                with self._lock:
                    self._held.pop(name, None)
            except ReleaseError:
                # The store did not answer; two thirds of the lease's life are left.
                continue
            else:
                with self._lock:
                    if name in self._held:
                        self._held[name] = renewed
