"""Hypothesis strategies for the model: made from the types themselves, so that a new field is drawn at once."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar, get_args

from hypothesis import strategies as st

from pipeline.model.event import GENESIS, Envelope, Event, chain
from pipeline.model.ids import AccountId, Digest, ReleaseName, TargetId, digest
from pipeline.model.plan import Plan
from pipeline.model.waiver import Waiver

T = TypeVar("T")

EVENT_KINDS: tuple[type[Event], ...] = get_args(Event)
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

digests: st.SearchStrategy[Digest] = st.integers(0, 2**64).map(lambda n: digest(f"{n:064x}"))
account_ids: st.SearchStrategy[AccountId] = st.integers(0, 10**12 - 1).map(lambda n: AccountId(f"{n:012d}"))
moments: st.SearchStrategy[datetime] = st.integers(-(10**12), 10**13).map(
    lambda ms: START + timedelta(milliseconds=ms)
)
durations: st.SearchStrategy[timedelta] = st.integers(0, 10**12).map(lambda ms: timedelta(milliseconds=ms))
names: st.SearchStrategy[str] = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)
versions: st.SearchStrategy[str] = st.tuples(*[st.integers(0, 99)] * 3).map(lambda v: ".".join(map(str, v)))
release_names = st.builds(ReleaseName, names, versions)
# Few targets, so that events of one story meet.
target_ids = st.builds(
    TargetId,
    st.sampled_from(["acme", "zoe", "@intake", "~pool-001"]),
    st.sampled_from(["us-east-1", "eu-west-1"]),
)

_words = st.text(min_size=1, max_size=12)
waivers = st.builds(
    Waiver,
    release=release_names,
    logical_id=_words,
    physical_id=_words.filter(lambda text: text != "*"),
    rule=_words,
    reason=_words,
    approver=_words,
    expires=moments,
    client=names,
    effect=st.none(),
) | st.builds(
    Waiver,
    release=release_names,
    logical_id=_words,
    physical_id=_words | st.just("*"),
    rule=_words,
    reason=_words,
    approver=_words,
    expires=moments,
    client=st.just(""),
    effect=digests,
)

_KNOWN: dict[Any, st.SearchStrategy[Any]] = {
    Digest: digests,
    AccountId: account_ids,
    ReleaseName: release_names,
    TargetId: target_ids,
    str: st.text(max_size=12),
    int: st.integers(-5, 50),
    bool: st.booleans(),
    datetime: moments,
    timedelta: durations,
    Waiver: waivers,
}


def of(kind: type[T]) -> st.SearchStrategy[T]:
    """Any value of a type of the model."""
    return typing.cast("st.SearchStrategy[T]", _of(kind))


def _of(kind: Any) -> st.SearchStrategy[Any]:
    if kind in _KNOWN:
        return _KNOWN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([st.none() if a is type(None) else _of(a) for a in arguments])
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return st.lists(_of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*[_of(a) for a in arguments])
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    assert dataclasses.is_dataclass(kind), f"no strategy for {kind}"
    hints = typing.get_type_hints(kind)
    return st.builds(
        typing.cast("Callable[..., Any]", kind),
        **{f.name: _of(hints[f.name]) for f in dataclasses.fields(kind)},
    )


events: st.SearchStrategy[Event] = st.one_of([of(kind) for kind in EVENT_KINDS])
plans: st.SearchStrategy[Plan] = of(Plan)


def envelopes(said: list[Event], stream: str = "s") -> tuple[Envelope, ...]:
    """As a journal would hold them, a second apart."""
    made: list[Envelope] = []
    previous = GENESIS
    for seq, event in enumerate(said, start=1):
        draft = Envelope(
            stream=stream,
            seq=seq,
            at=START + timedelta(seconds=seq),
            actor="ann",
            fence=1,
            event=event,
            previous_hash=previous,
            hash="",
        )
        previous = chain(previous, draft)
        made.append(dataclasses.replace(draft, hash=previous))
    return tuple(made)
