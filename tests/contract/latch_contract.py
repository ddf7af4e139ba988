"""What every halt latch must do. A subclass gives `make`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from pipeline.adapters.simulated.clock import START, SimulatedClock
from pipeline.ports import Clock, Halt, Latch

RELEASE = "intake@1.0.0"

MakeLatch = Callable[[Clock], Latch]
"""Each call opens the same store once more, as another shell would."""


class LatchContract:
    @pytest.fixture
    def make(self) -> MakeLatch:
        raise NotImplementedError

    def test_a_latch_is_open_until_somebody_closes_it(self, make: MakeLatch) -> None:
        assert make(SimulatedClock()).read(RELEASE) is None

    def test_a_closed_latch_is_seen_from_another_shell(self, make: MakeLatch) -> None:
        clock = SimulatedClock()
        halt = make(clock).close(RELEASE, "patients see errors", "ann")

        assert halt == Halt(reason="patients see errors", actor="ann", at=START)
        assert make(clock).read(RELEASE) == halt

    def test_the_first_halt_stays(self, make: MakeLatch) -> None:
        clock = SimulatedClock()
        latch = make(clock)
        first = latch.close(RELEASE, "one", "ann")
        clock.advance(timedelta(hours=1))

        assert latch.close(RELEASE, "two", "bob") == first
        assert latch.read(RELEASE) == first

    def test_an_opened_latch_can_be_closed_again(self, make: MakeLatch) -> None:
        latch = make(SimulatedClock())
        latch.close(RELEASE, "one", "ann")
        latch.open(RELEASE)
        latch.open(RELEASE)

        assert latch.read(RELEASE) is None
        assert latch.close(RELEASE, "two", "bob") == Halt(reason="two", actor="bob", at=START)

    def test_a_halt_concerns_its_own_release_only(self, make: MakeLatch) -> None:
        latch = make(SimulatedClock())
        latch.close(RELEASE, "one", "ann")

        assert latch.read("intake@1.0.1") is None

    def test_of_many_halts_at_once_all_learn_of_the_same_one(self, make: MakeLatch) -> None:
        clock = SimulatedClock()
        shells = [make(clock) for _ in range(6)]
        together = threading.Barrier(len(shells))

        def race(number: int) -> Halt:
            together.wait()
            return shells[number].close(RELEASE, f"reason {number}", f"person {number}")

        with ThreadPoolExecutor(len(shells)) as pool:
            assert len(set(pool.map(race, range(len(shells))))) == 1
