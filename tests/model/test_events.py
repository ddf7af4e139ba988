"""Events survive their JSON, and anything else is refused."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.canonical import canonical
from pipeline.model.event import GENESIS, Event, RunHalted, WaveStarted, chain, event_from_json, event_to_json
from tests.model.strategies import EVENT_KINDS, envelopes, events, moments, of


@pytest.mark.parametrize("kind", EVENT_KINDS, ids=lambda kind: kind.__name__)
def test_every_event_survives_its_json(kind: type[Event]) -> None:
    @settings(max_examples=25, deadline=None)
    @given(event=of(kind))
    def survives(event: Event) -> None:
        text = canonical(event_to_json(event))
        assert event_from_json(text) == event
        assert canonical(event_to_json(event_from_json(text))) == text

    survives()


@pytest.mark.parametrize("kind", EVENT_KINDS, ids=lambda kind: kind.__name__)
def test_an_event_with_a_missing_or_an_unknown_field_is_refused(kind: type[Event]) -> None:
    @settings(max_examples=3, deadline=None)
    @given(event=of(kind))
    def refused(event: Event) -> None:
        body = event_to_json(event)
        assert isinstance(body, dict)
        with pytest.raises(ValueError, match="unknown field"):
            event_from_json(canonical({**body, "surprise": 1}))
        for field in dataclasses.fields(kind):
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                rest = {name: value for name, value in body.items() if name != field.name}
                with pytest.raises(ValueError, match="missing"):
                    event_from_json(canonical(rest))

    refused()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"WaveStarted"',
        b'{"type": "WaveStarted"}',
        b'{"type": "NeverHeardOf"}',
        b'{"type": "Envelope"}',
        b'{"type": "WaveStarted", "wave": "0"}',
        b'{"type": "WaveStarted", "wave": true}',
        b'{"type": "WaveStarted", "wave": 0.0}',
        b'{"type": "WaveBaking", "wave": 0, "until": "2026-01-05T09:00:00"}',
        b'{"type": "TargetFailed", "reason": "x", "fault": "nobody"}',
        b"\xff",
    ],
)
def test_what_is_not_an_event_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        event_from_json(text)


def test_every_kind_of_event_is_told_by_its_name() -> None:
    assert len({kind.__name__ for kind in EVENT_KINDS}) == len(EVENT_KINDS)
    assert json.loads(canonical(event_to_json(WaveStarted(wave=3)))) == {"type": "WaveStarted", "wave": 3}


@settings(max_examples=50, deadline=None)
@given(said=st.lists(events, min_size=1, max_size=5), other=events, later=moments, data=st.data())
def test_no_part_of_an_entry_can_change_without_changing_its_hash(
    said: list[Event], other: Event, later: object, data: st.DataObject
) -> None:
    entry = envelopes(said)[-1]
    changes = {
        "stream": "another",
        "seq": entry.seq + 1,
        "at": later,
        "actor": entry.actor + "x",
        "fence": entry.fence + 1,
        "event": other,
    }
    name = data.draw(st.sampled_from(sorted(changes)))
    changed = dataclasses.replace(entry, **{name: changes[name]})

    same = getattr(changed, name) == getattr(entry, name)
    assert (chain(entry.previous_hash, changed) == entry.hash) is same
    assert entry.previous_hash == GENESIS or chain(GENESIS, entry) != entry.hash


def test_the_hash_of_an_entry_does_not_depend_on_the_day_it_is_computed() -> None:
    (entry,) = envelopes([RunHalted(reason="sick", by="ann")], stream="release/intake@1.0.0")

    assert entry.hash == "9377c669a6fa96dc211073845ac522806a5e2d8ac9ad075fd479b027cb04b896"
