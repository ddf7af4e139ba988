"""What every store of leases must do. A subclass gives `make`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from pipeline.adapters.simulated.clock import START, SimulatedClock
from pipeline.errors import FenceLost, LeaseHeld
from pipeline.ports import Clock, Lease, Leases

NAME = "run/intake@1.0.0"
ANN = "ann@elsewhere:11:100:aaaaaaaa"
BOB = "bob@elsewhere:22:200:bbbbbbbb"
TTL = timedelta(seconds=60)

MakeLeases = Callable[[Clock], Leases]
"""Each call opens the same store once more, as another runner would."""


class LeasesContract:
    @pytest.fixture
    def make(self) -> MakeLeases:
        raise NotImplementedError

    def test_a_lease_that_was_never_taken_is_nobodys(self, make: MakeLeases) -> None:
        assert make(SimulatedClock()).current(NAME) is None

    def test_a_taken_lease_names_its_holder_and_its_end(self, make: MakeLeases) -> None:
        clock = SimulatedClock()
        lease = make(clock).take(NAME, ANN, TTL)

        assert lease == Lease(name=NAME, holder=ANN, fence=1, expires=START + TTL)
        assert make(clock).current(NAME) == lease

    def test_a_second_holder_is_refused_and_told_who_holds_it_and_until_when(self, make: MakeLeases) -> None:
        clock = SimulatedClock()
        make(clock).take(NAME, ANN, TTL)
        clock.advance(TTL - timedelta(milliseconds=1))

        with pytest.raises(LeaseHeld) as refused:
            make(clock).take(NAME, BOB, TTL)
        assert ANN in refused.value.problem
        assert (START + TTL).isoformat(timespec="seconds")[:19] in refused.value.problem
        assert refused.value.remedy != ""

    def test_an_expired_lease_goes_to_the_next_holder_with_a_higher_fence(self, make: MakeLeases) -> None:
        clock = SimulatedClock()
        leases = make(clock)
        leases.take(NAME, ANN, TTL)
        clock.advance(TTL)

        assert leases.take(NAME, BOB, TTL) == Lease(name=NAME, holder=BOB, fence=2, expires=START + TTL + TTL)

    def test_the_holder_may_take_its_own_lease_again_and_gets_a_higher_fence(self, make: MakeLeases) -> None:
        leases = make(SimulatedClock())

        assert [leases.take(NAME, ANN, TTL).fence for _ in range(3)] == [1, 2, 3]

    def test_a_renewed_lease_lasts_longer_and_keeps_its_fence(self, make: MakeLeases) -> None:
        clock = SimulatedClock()
        leases = make(clock)
        lease = leases.take(NAME, ANN, TTL)
        clock.advance(timedelta(seconds=50))
        renewed = leases.renew(lease, TTL)

        assert renewed == Lease(name=NAME, holder=ANN, fence=1, expires=START + timedelta(seconds=110))
        clock.advance(timedelta(seconds=50))
        with pytest.raises(LeaseHeld):
            leases.take(NAME, BOB, TTL)

    def test_an_expired_lease_that_nobody_took_can_still_be_renewed(self, make: MakeLeases) -> None:
        clock = SimulatedClock()
        leases = make(clock)
        lease = leases.take(NAME, ANN, TTL)
        clock.advance(TTL * 3)

        assert leases.renew(lease, TTL).fence == 1

    def test_a_lease_that_another_took_cannot_be_renewed(self, make: MakeLeases) -> None:
        clock = SimulatedClock()
        leases = make(clock)
        lease = leases.take(NAME, ANN, TTL)
        clock.advance(TTL)
        taken = leases.take(NAME, BOB, TTL)

        with pytest.raises(FenceLost, match="no longer held by"):
            leases.renew(lease, TTL)
        assert leases.current(NAME) == taken

    def test_a_lease_given_back_is_free_at_once_and_the_fence_still_grows(self, make: MakeLeases) -> None:
        clock = SimulatedClock()
        leases = make(clock)
        lease = leases.take(NAME, ANN, TTL)
        clock.advance(timedelta(seconds=5))
        leases.give_back(lease)

        assert leases.current(NAME) == Lease(
            name=NAME, holder=ANN, fence=1, expires=START + timedelta(seconds=5)
        )
        with pytest.raises(FenceLost):
            leases.renew(lease, TTL)
        assert leases.take(NAME, BOB, TTL).fence == 2

    def test_giving_back_what_another_holds_by_now_changes_nothing(self, make: MakeLeases) -> None:
        clock = SimulatedClock()
        leases = make(clock)
        lease = leases.take(NAME, ANN, TTL)
        clock.advance(TTL)
        taken = leases.take(NAME, BOB, TTL)
        leases.give_back(lease)
        leases.give_back(Lease(name="never taken", holder=ANN, fence=1, expires=START))

        assert leases.current(NAME) == taken
        assert leases.current("never taken") is None

    def test_a_lease_is_taken_at_once_from_whoever_holds_it_by_who_pre_empts(self, make: MakeLeases) -> None:
        clock = SimulatedClock()
        leases = make(clock)
        lease = leases.take(NAME, ANN, TTL)
        clock.advance(timedelta(seconds=1))
        taken = make(clock).preempt(NAME, BOB, TTL)

        assert taken == Lease(name=NAME, holder=BOB, fence=2, expires=START + timedelta(seconds=61))
        assert leases.current(NAME) == taken
        with pytest.raises(FenceLost, match="no longer held by"):
            leases.renew(lease, TTL)
        with pytest.raises(LeaseHeld, match="bob"):
            leases.take(NAME, ANN, TTL)
        leases.give_back(lease)
        assert leases.renew(taken, TTL).fence == 2

    def test_what_nobody_holds_is_pre_empted_like_taken(self, make: MakeLeases) -> None:
        leases = make(SimulatedClock())

        assert leases.preempt(NAME, ANN, TTL) == Lease(name=NAME, holder=ANN, fence=1, expires=START + TTL)
        assert leases.preempt(NAME, ANN, TTL).fence == 2
        leases.give_back(leases.preempt(NAME, BOB, TTL))
        assert leases.take(NAME, ANN, TTL).fence == 4

    def test_of_many_who_pre_empt_at_once_each_gets_a_fence_of_its_own_and_the_last_holds(
        self, make: MakeLeases
    ) -> None:
        clock = SimulatedClock()
        runners = [make(clock) for _ in range(6)]
        together = threading.Barrier(len(runners))

        def race(number: int) -> Lease:
            together.wait()
            return runners[number].preempt(NAME, f"runner@elsewhere:{number}:1:cc", TTL)

        with ThreadPoolExecutor(len(runners)) as pool:
            taken = sorted(pool.map(race, range(len(runners))), key=lambda lease: lease.fence)
        assert [lease.fence for lease in taken] == [1, 2, 3, 4, 5, 6]
        assert runners[0].current(NAME) == taken[-1]

    def test_leases_of_different_names_do_not_meet(self, make: MakeLeases) -> None:
        leases = make(SimulatedClock())

        assert leases.take("a", ANN, TTL).fence == 1
        assert leases.take("b", BOB, TTL).fence == 1

    def test_of_many_runners_that_take_it_at_once_exactly_one_holds_it(self, make: MakeLeases) -> None:
        clock = SimulatedClock()
        runners = [make(clock) for _ in range(6)]
        together = threading.Barrier(len(runners))

        def race(number: int) -> int:
            together.wait()
            try:
                return runners[number].take(NAME, f"runner@elsewhere:{number}:1:cc", TTL).fence
            except LeaseHeld:
                return 0

        with ThreadPoolExecutor(len(runners)) as pool:
            assert sorted(pool.map(race, range(len(runners)))) == [0, 0, 0, 0, 0, 1]
