"""Floor 3, engine: who carries out ticks. A bounded pool of threads, or this very thread. Decides nothing."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Protocol

from pipeline.ports import Clock

__all__ = ["InlineWorkers", "Result", "ThreadWorkers", "Workers"]

Result = tuple[Any, BaseException | None]
_ONE_TURN = timedelta(milliseconds=250)


class Workers(Protocol):
    @property
    def size(self) -> int:
        """how much is carried out at once"""
        ...

    def submit(self, work: Callable[[], object]) -> None: ...

    def results(self, until: datetime | None) -> list[Result]:
        """Wait until something is done or `until` has come; None waits for the next result. May be empty."""
        ...

    def close(self) -> None: ...


class ThreadWorkers:
    """At most `size` threads, whatever the number of targets: a target that waits holds no thread."""

    def __init__(self, clock: Clock, size: int) -> None:
        self.size = size
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix="tick")
        self._done: queue.SimpleQueue[Result] = queue.SimpleQueue()

    def submit(self, work: Callable[[], object]) -> None:
        self._pool.submit(self._carry_out, work)

    def _carry_out(self, work: Callable[[], object]) -> None:
        try:
            self._done.put((work(), None))
        except BaseException as fault:  # noqa: BLE001 - handed to the loop, which raises it in its own thread
            self._done.put((None, fault))

    def results(self, until: datetime | None) -> list[Result]:
        # Short turns, so that a signal or a lost lease is noticed while everything waits.
        wait = _ONE_TURN if until is None else min(_ONE_TURN, max(timedelta(0), until - self._clock.now()))
        found: list[Result] = []
        try:
            found.append(self._done.get(timeout=wait / timedelta(seconds=1)))
            while True:
                found.append(self._done.get_nowait())
        except queue.Empty:
            return found

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class InlineWorkers:
    """Everything in the calling thread, one at a time, in order: what the simulated cloud runs on."""

    size = 1

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._done: list[Result] = []
        self._owner = threading.get_ident()

    def submit(self, work: Callable[[], object]) -> None:
        assert threading.get_ident() == self._owner, "inline workers belong to one thread"
        self._done.append((work(), None))

    def results(self, until: datetime | None) -> list[Result]:
        found, self._done = self._done, []
        if not found and until is not None:
            self._clock.sleep(max(timedelta(0), until - self._clock.now()))
        return found

    def close(self) -> None:
        self._done.clear()
