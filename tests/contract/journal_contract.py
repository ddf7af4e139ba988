"""What every journal store must do. A subclass gives `make`; nothing here assumes a transaction over two streams."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.errors import FenceLost, StreamMoved
from pipeline.model.event import (
    GENESIS,
    Event,
    RunHalted,
    TargetClaimed,
    TargetObserved,
    WaveBaking,
    WavePassed,
    WaveStarted,
    chain,
)
from pipeline.model.ids import digest
from pipeline.model.plan import Deployable
from pipeline.ports import Clock, Head, Journal

STREAM = "release/intake@1.0.0"
OTHER = "target/intake/acme/us-east-1"
D = digest("a" * 64)

MakeJournal = Callable[[Clock], Journal]
"""Each call opens the same store once more, as another runner would."""


class JournalContract:
    @pytest.fixture
    def make(self) -> MakeJournal:
        raise NotImplementedError

    def test_a_stream_that_does_not_exist_is_empty(self, make: MakeJournal) -> None:
        journal = make(SimulatedClock())

        assert journal.head(STREAM) == Head(seq=0, fence=0, hash=GENESIS)
        assert journal.read(STREAM) == ()
        assert journal.streams("") == ()

    def test_what_is_appended_is_read_back_by_another_runner(self, make: MakeJournal) -> None:
        clock = SimulatedClock(datetime(2026, 5, 16, 8, 0, 0, 123_999, tzinfo=UTC))
        written = make(clock).append(
            STREAM, _events(), expected=0, fence=3, actor="ann@laptop:12:99:ab"
        ) + make(clock).append(STREAM, [WavePassed(wave=0)], expected=len(_events()), fence=3, actor="bob")

        assert make(clock).read(STREAM) == written
        assert [entry.seq for entry in written] == list(range(1, len(_events()) + 2))
        assert [entry.event for entry in written] == [*_events(), WavePassed(wave=0)]
        assert {entry.at for entry in written} == {datetime(2026, 5, 16, 8, 0, 0, 123_000, tzinfo=UTC)}
        assert (written[0].actor, written[-1].actor) == ("ann@laptop:12:99:ab", "bob")

    def test_what_the_writer_gets_back_is_what_a_reader_reads_however_fine_its_times(
        self, make: MakeJournal
    ) -> None:
        journal = make(SimulatedClock())
        fine = datetime(2026, 5, 16, 9, 0, 0, 123_456, tzinfo=UTC)
        written = journal.append(STREAM, [WaveBaking(wave=0, until=fine)], expected=0, fence=1, actor="ann")

        assert journal.read(STREAM) == written
        assert written[0].event == WaveBaking(wave=0, until=fine.replace(microsecond=123_000))

    def test_the_entries_are_chained_from_the_beginning(self, make: MakeJournal) -> None:
        journal = make(SimulatedClock())
        entries = journal.append(STREAM, _events(), expected=0, fence=1, actor="ann")

        previous = GENESIS
        for entry in entries:
            assert entry.previous_hash == previous
            assert entry.hash == chain(previous, entry)
            previous = entry.hash
        assert journal.head(STREAM) == Head(seq=len(entries), fence=1, hash=previous)

    def test_an_append_to_a_stream_that_has_grown_writes_nothing(self, make: MakeJournal) -> None:
        journal = make(SimulatedClock())
        journal.append(STREAM, [WaveStarted(wave=0)], expected=0, fence=1, actor="ann")

        for expected in (0, 2):
            with pytest.raises(StreamMoved, match=r"release/intake@1\.0\.0 has grown"):
                journal.append(STREAM, [WavePassed(wave=0)], expected=expected, fence=1, actor="ann")
        assert [entry.event for entry in journal.read(STREAM)] == [WaveStarted(wave=0)]

    def test_a_higher_fence_outdates_a_lower_one_for_ever(self, make: MakeJournal) -> None:
        clock = SimulatedClock()
        old, new = make(clock), make(clock)
        old.append(STREAM, [WaveStarted(wave=0)], expected=0, fence=1, actor="old")
        new.append(STREAM, [RunHalted(reason="taken over", by="new")], expected=1, fence=2, actor="new")

        with pytest.raises(FenceLost, match="its fence is 2, ours is 1"):
            old.append(STREAM, [WavePassed(wave=0)], expected=2, fence=1, actor="old")
        new.append(STREAM, [WavePassed(wave=0)], expected=2, fence=2, actor="new")
        assert [entry.fence for entry in old.read(STREAM)] == [1, 2, 2]

    def test_an_outdated_runner_learns_so_even_where_the_stream_has_grown_too(
        self, make: MakeJournal
    ) -> None:
        journal = make(SimulatedClock())
        journal.append(STREAM, [WaveStarted(wave=0)], expected=0, fence=9, actor="new")

        with pytest.raises(FenceLost):
            journal.append(STREAM, [WaveStarted(wave=0)], expected=0, fence=8, actor="old")

    def test_streams_have_heads_of_their_own(self, make: MakeJournal) -> None:
        journal = make(SimulatedClock())
        journal.append(STREAM, [WaveStarted(wave=0)], expected=0, fence=7, actor="ann")
        journal.append(OTHER, [_observed()], expected=0, fence=1, actor="ann")

        assert (journal.head(STREAM).seq, journal.head(STREAM).fence) == (1, 7)
        assert (journal.head(OTHER).seq, journal.head(OTHER).fence) == (1, 1)

    def test_streams_are_found_by_what_they_begin_with(self, make: MakeJournal) -> None:
        journal = make(SimulatedClock())
        names = ["target/intake/zoë/us-east-1", OTHER, STREAM, "target/intake%/x", "target/intak"]
        for name in names:
            journal.append(name, [WaveStarted(wave=0)], expected=0, fence=1, actor="ann")

        assert journal.streams("target/intake/") == (OTHER, "target/intake/zoë/us-east-1")
        assert journal.streams("release/") == (STREAM,)
        assert journal.streams("") == tuple(sorted(names))
        assert journal.streams("nothing/") == ()

    def test_time_in_a_stream_never_goes_back_though_the_clock_does(self, make: MakeJournal) -> None:
        clock = SimulatedClock()
        journal = make(clock)
        first = journal.append(STREAM, [WaveStarted(wave=0)], expected=0, fence=1, actor="ann")
        clock.advance(timedelta(minutes=-10))
        second = journal.append(STREAM, [WavePassed(wave=0)], expected=1, fence=1, actor="ann")
        other = journal.append(OTHER, [_observed()], expected=0, fence=1, actor="ann")
        clock.advance(timedelta(minutes=11))
        third = journal.append(STREAM, [WaveStarted(wave=1)], expected=2, fence=1, actor="ann")

        assert second[0].at == first[0].at
        assert other[0].at == first[0].at
        assert third[0].at == first[0].at + timedelta(minutes=1)

    def test_an_append_of_nothing_changes_nothing(self, make: MakeJournal) -> None:
        journal = make(SimulatedClock())

        assert journal.append(STREAM, [], expected=0, fence=5, actor="ann") == ()
        assert journal.head(STREAM) == Head(seq=0, fence=0, hash=GENESIS)
        assert journal.streams("") == ()

    def test_of_many_runners_that_append_at_the_same_place_exactly_one_wins(self, make: MakeJournal) -> None:
        clock = SimulatedClock()
        runners = [make(clock) for _ in range(6)]
        together = threading.Barrier(len(runners))

        def race(number: int) -> str:
            together.wait()
            try:
                runners[number].append(
                    STREAM, [WaveStarted(wave=number)], expected=0, fence=1, actor=f"runner-{number}"
                )
            except StreamMoved:
                return "moved"
            return f"runner-{number}"

        with ThreadPoolExecutor(len(runners)) as pool:
            outcomes = list(pool.map(race, range(len(runners))))
        winners = [outcome for outcome in outcomes if outcome != "moved"]
        assert len(winners) == 1
        assert [entry.actor for entry in make(clock).read(STREAM)] == winners

    def test_many_threads_that_read_and_append_again_lose_no_event(self, make: MakeJournal) -> None:
        clock = SimulatedClock()
        journal = make(clock)

        def insist(number: int) -> None:
            for round_ in range(5):
                done = False
                while not done:
                    try:
                        journal.append(
                            STREAM,
                            [WaveStarted(wave=number * 10 + round_)],
                            expected=journal.head(STREAM).seq,
                            fence=1,
                            actor="ann",
                        )
                        done = True
                    except StreamMoved:
                        continue

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(insist, range(4)))
        waves = [entry.event.wave for entry in journal.read(STREAM) if isinstance(entry.event, WaveStarted)]
        assert sorted(waves) == sorted(n * 10 + r for n in range(4) for r in range(5))


def _observed() -> TargetObserved:
    return TargetObserved(stack_id="arn:stack", status="CREATE_COMPLETE", mark="", parameters=D)


def _events() -> list[Event]:
    return [
        WaveStarted(wave=0),
        WaveBaking(wave=0, until=datetime(2026, 5, 16, 9, 0, 0, 250_000, tzinfo=UTC)),
        TargetClaimed(
            release="intake@1.0.0",
            plan=D,
            wave=0,
            desired=Deployable(release="intake@1.0.0", digest=D, commit="c" * 40, template=D),
        ),
        RunHalted(reason="Zoë said: “stop” \N{HEAVY BLACK HEART}", by="zoë"),
    ]
