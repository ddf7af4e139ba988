"""Room: adapters. What every journal store does alike: seal new entries, verify old ones, tame the clock.

A store never computes a hash of its own, so that a journal copied from one store into another still verifies.
It never touches a store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pipeline.errors import FenceLost, JournalDamaged, StreamMoved
from pipeline.model.canonical import canonical
from pipeline.model.event import GENESIS, Envelope, Event, chain, event_from_json, event_to_json
from pipeline.ports import Head

__all__ = ["EMPTY_HEAD", "admit", "damaged", "seal", "to_milliseconds", "verify"]

EMPTY_HEAD = Head(seq=0, fence=0, hash=GENESIS)


def to_milliseconds(moment: datetime) -> datetime:
    """In UTC, cut to the millisecond: what JSON can hold, so that hashes survive the way back."""
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def admit(stream: str, head: Head, *, expected: int, fence: int) -> None:
    """FenceLost or StreamMoved where an append may not happen. The fence first: an outdated runner must stop,
    and reading again would not help it."""
    if fence < head.fence:
        raise FenceLost(
            f"another runner has taken over {stream}: its fence is {head.fence}, ours is {fence}",
            state="nothing was written",
            remedy="run the same command again; it goes on from the journal",
        )
    if head.seq != expected:
        raise StreamMoved(
            f"{stream} has grown: it ends at {head.seq}, not at {expected}",
            state="nothing was written",
            remedy="run the same command again; it goes on from the journal",
        )


def seal(
    stream: str, events: Sequence[Event], head: Head, *, at: datetime, actor: str, fence: int
) -> tuple[Envelope, ...]:
    """The entries that follow `head`, hash-chained. `at` must be whole milliseconds in UTC.

    Each event goes through its JSON first, which cuts its times to the millisecond: what the writer folds is then
    exactly what the next reader will fold.
    """
    sealed: list[Envelope] = []
    previous = head.hash
    for seq, event in enumerate(events, start=head.seq + 1):
        body = event_to_json(event)
        draft = Envelope(
            stream=stream,
            seq=seq,
            at=at,
            actor=actor,
            fence=fence,
            event=event_from_json(canonical(body)),
            previous_hash=previous,
            hash="",
        )
        previous = chain(previous, draft, body)
        sealed.append(replace(draft, hash=previous))
    return tuple(sealed)


def verify(stream: str, entries: Sequence[Envelope], head: Head) -> tuple[Envelope, ...]:
    """The entries themselves, once it is proven that none was changed, dropped or put in. JournalDamaged."""
    previous = GENESIS
    for seq, entry in enumerate(entries, start=1):
        if entry.seq != seq:
            raise damaged(stream, seq, "this entry is missing")
        if entry.stream != stream or entry.previous_hash != previous or entry.hash != chain(previous, entry):
            raise damaged(stream, seq, "its content does not have the hash that was written with it")
        previous = entry.hash
    if len(entries) != head.seq or previous != head.hash:
        raise damaged(stream, min(len(entries), head.seq) + 1, "the stream does not end where its head says")
    return tuple(entries)


def damaged(stream: str, seq: int, what: str) -> JournalDamaged:
    return JournalDamaged(
        f"the journal is damaged at entry {seq} of {stream}: {what}",
        state="nothing was done on the strength of this journal",
        remedy="restore the state from a backup, then type: release audit verify",
    )
