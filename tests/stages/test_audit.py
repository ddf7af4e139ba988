"""Signed heads: what they add to hash chains, and that nobody's word but the pinned key's counts."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from pipeline.adapters.chained import seal
from pipeline.errors import IntegrityBroken, JournalDamaged
from pipeline.model import event as e
from pipeline.model.event import GENESIS
from pipeline.ports import Head
from stages.audit import Audited, audit, heads_of, signed
from tests.stages.desk import ADA, Desk
from tests.stages.keys import KeyRing, TestKey

KEY, OTHER = TestKey("arn:journal"), TestKey("arn:release")
RING = KeyRing(KEY, OTHER)


def pinned() -> tuple[KeyRing, str]:
    return RING, KEY.key


def never() -> tuple[KeyRing, str]:
    raise AssertionError("nobody has to be asked")


def a_signed_journal(key: TestKey = KEY) -> Desk:
    """The canary has been deployed; the heads were signed; then one thing more was said of c1."""
    desk = Desk()
    desk.began(*desk.through(1))
    for name in ("c1", "c2"):
        desk.claimed(name, 1, e.TargetHealthy(changed=True))
    desk.say(signed(heads_of(desk.journal, desk.plan), key))
    return desk.say_of("c1", e.TargetGood())


def cut(desk: Desk, stream: str, length: int) -> None:
    """Cut a stream's end off together with its head, so that its own chain holds again."""
    entries = desk.journal._entries[stream][:length]
    desk.journal._entries[stream] = entries
    last = entries[-1]
    desk.journal._heads[stream] = Head(seq=last.seq, fence=last.fence, hash=last.hash)


def rewrite(desk: Desk, stream: str, seq: int, event: e.Event) -> None:
    """Put another event in and seal everything after it anew, as whoever owns the store could."""
    entries = desk.journal._entries[stream]
    head, new = Head(seq=0, fence=0, hash=GENESIS), []
    for entry in entries:
        said = event if entry.seq == seq else entry.event
        (made,) = seal(stream, (said,), head, at=entry.at, actor=entry.actor, fence=entry.fence)
        head = Head(seq=made.seq, fence=made.fence, hash=made.hash)
        new.append(made)
    desk.journal._entries[stream] = tuple(new)
    desk.journal._heads[stream] = head


def test_the_heads_are_those_of_every_target_of_the_plan_and_every_release_of_the_service() -> None:
    desk = a_signed_journal()
    heads = heads_of(desk.journal, desk.plan)

    assert [(h.stream, h.seq) for h in heads] == [
        ("release/intake@1.4.0", 7),
        ("target/intake/c1/us-east-1", 3),
        ("target/intake/c2/us-east-1", 2),
    ]
    assert [h.hash for h in heads] == [desk.journal.head(h.stream).hash for h in heads]


def test_a_sound_journal_tells_how_far_its_signatures_reach() -> None:
    desk = a_signed_journal()
    desk.journal.append("release/notify@1.0.0", (e.WaveStarted(wave=0),), expected=0, fence=0, actor=ADA)

    assert audit(desk.journal, pinned) == Audited(events=13, streams=4, signatures=1, unsigned=1, behind=2)
    assert audit(desk.journal, None) == Audited(events=13, streams=4, unsigned=4)


def test_where_no_heads_are_signed_nobody_has_to_be_asked() -> None:
    assert audit(Desk().began().journal, never) == Audited(events=3, streams=1, unsigned=1)


def test_an_end_that_was_cut_off_with_its_head_is_seen() -> None:
    desk = a_signed_journal()
    stream = desk.target_stream("c2")
    cut(desk, stream, 1)
    assert desk.journal.read(stream), "its own chain holds"

    with pytest.raises(JournalDamaged) as caught:
        audit(desk.journal, pinned)
    assert "target/intake/c2/us-east-1 ends at entry 1" in caught.value.problem
    assert "signed up to entry 2: its end was cut off" in caught.value.problem
    assert "entry 7 of release/intake@1.4.0" in caught.value.problem


def test_a_stream_that_vanished_altogether_is_seen() -> None:
    desk = a_signed_journal()
    stream = desk.target_stream("c2")
    del desk.journal._entries[stream], desk.journal._heads[stream]

    with pytest.raises(JournalDamaged, match="ends at entry 0"):
        audit(desk.journal, pinned)


def test_a_stream_that_was_sealed_anew_is_seen() -> None:
    desk = a_signed_journal()
    stream = desk.target_stream("c2")
    rewrite(desk, stream, 2, e.TargetFailed(reason="sick", fault=e.Fault.RELEASE))
    assert desk.journal.read(stream), "its own chain holds"

    with pytest.raises(JournalDamaged, match="entry 2 of target/intake/c2/us-east-1 is not the one"):
        audit(desk.journal, pinned)


def test_a_broken_link_is_named_before_any_signature_is_looked_at() -> None:
    desk = a_signed_journal()
    stream = desk.target_stream("c1")
    first, *rest = desk.journal._entries[stream]
    desk.journal._entries[stream] = (replace(first, actor="sso:mallory"), *rest)

    with pytest.raises(JournalDamaged, match="entry 1 of target/intake/c1/us-east-1"):
        audit(desk.journal, pinned)


def test_heads_signed_with_any_other_key_are_not_trusted() -> None:
    with pytest.raises(IntegrityBroken, match="not with the pinned journal key"):
        audit(a_signed_journal(OTHER).journal, pinned)


def test_signed_heads_without_a_pinned_key_are_not_passed_over() -> None:
    with pytest.raises(IntegrityBroken, match="pins no key"):
        audit(a_signed_journal().journal, lambda: (RING, ""))


@pytest.mark.parametrize("signature", ["", "not base64!", base64.b64encode(b"x" * 70).decode("ascii")])
def test_a_signature_that_is_none_is_not_trusted(signature: str) -> None:
    desk = Desk().began()
    said = replace(signed(heads_of(desk.journal, desk.plan), KEY), signature=signature)
    desk.say(said)

    with pytest.raises(IntegrityBroken, match="does not hold"):
        audit(desk.journal, pinned)


def test_a_signature_of_other_heads_is_not_trusted() -> None:
    desk = Desk().began()
    said = signed(heads_of(desk.journal, desk.plan), KEY)
    forged = replace(said, heads=(replace(said.heads[0], seq=1),))
    desk.say(forged)

    with pytest.raises(IntegrityBroken, match="does not hold"):
        audit(desk.journal, pinned)


def test_a_later_release_vouches_for_the_streams_of_an_earlier_one() -> None:
    desk = Desk().began(*Desk().through(1))
    first = desk.plan.release
    desk.journal.append(
        "release/intake@1.5.0",
        (signed(heads_of(desk.journal, desk.plan), KEY),),
        expected=0,
        fence=0,
        actor=ADA,
    )
    cut(desk, e.release_stream(first), 2)

    with pytest.raises(JournalDamaged, match=r"release/intake@1\.4\.0 ends at entry 2"):
        audit(desk.journal, pinned)
