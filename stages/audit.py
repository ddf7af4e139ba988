"""Floor 3, the stage that vouches for the journal: signed heads, and the proof that nothing was changed or cut off.

The hash chain shows any change inside a stream, but not that its end was cut off together with its head. So at the
end of each wave the heads of all the plan's streams, and of every release of the service, are signed with the
journal key and that signature is itself in the journal: whoever cuts one stream contradicts another. What was said
after the newest signature is not covered by it yet.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from pipeline.errors import IntegrityBroken, JournalDamaged
from pipeline.model import event as e
from pipeline.model.canonical import canonical
from pipeline.model.codec import to_json
from pipeline.model.plan import Plan
from pipeline.ports import Journal, Signer, Verifier

__all__ = ["Audited", "audit", "heads_digest", "heads_of", "signed", "verify_heads"]


Read: TypeAlias = Callable[[str], Sequence[e.Envelope]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What was proven. signatures: of heads, that hold. unsigned: streams that no signature covers;
    behind: events in covered streams that were said after the newest signature over them."""

    events: int
    streams: int
    signatures: int = 0
    unsigned: int = 0
    behind: int = 0


def heads_of(journal: Journal, plan: Plan) -> tuple[e.SignedHead, ...]:
    """Where every stream of the plan's targets and every release of its service stands now, sorted by name."""
    service = plan.release.service
    names = {e.target_stream(service, target.id) for target in plan.targets}
    names.update(journal.streams(f"release/{service}@"))
    found = [(name, journal.head(name)) for name in sorted(names)]
    return tuple(e.SignedHead(stream=name, seq=head.seq, hash=head.hash) for name, head in found if head.seq)


def heads_digest(heads: Sequence[e.SignedHead]) -> bytes:
    """The 32 bytes that are signed: the sha256 of the heads' canonical JSON."""
    return sha256(canonical(to_json(tuple(heads)))).digest()


def signed(heads: tuple[e.SignedHead, ...], signer: Signer) -> e.HeadsSigned:
    """signer: holds the journal key, never the release key."""
    signature = signer.sign(heads_digest(heads))
    return e.HeadsSigned(heads=heads, key=signer.key, signature=base64.b64encode(signature).decode("ascii"))


def verify_heads(said: e.Envelope, verifier: Verifier, trusted_key: str, read: Read) -> None:
    """JournalDamaged where a stream is not what was signed; IntegrityBroken where the signature itself is nothing.

    trusted_key: as pinned in fleet.toml; what the event says of its key is only compared with it. read: a stream's
    entries, whose chain has been checked.
    """
    event = said.event
    assert isinstance(event, e.HeadsSigned), "only signed heads are verified here"
    where = f"entry {said.seq} of {said.stream}"
    if event.key != trusted_key:
        raise _untrusted(
            f"the heads at {where} were signed with {event.key}, not with the pinned journal key"
        )
    try:
        signature = base64.b64decode(event.signature, validate=True)
    except binascii.Error:
        signature = b""
    if not verifier.verify(trusted_key, heads_digest(event.heads), signature):
        raise _untrusted(f"the signature of the heads at {where} does not hold")
    for head in event.heads:
        _compare(head, where, read(head.stream))


def _compare(head: e.SignedHead, where: str, entries: Sequence[e.Envelope]) -> None:
    if len(entries) < head.seq:
        raise _contradicted(
            f"{head.stream} ends at entry {len(entries)}, and at {where} it was signed up to entry {head.seq}:"
            " its end was cut off"
        )
    if entries[head.seq - 1].hash != head.hash:
        raise _contradicted(f"entry {head.seq} of {head.stream} is not the one that was signed at {where}")


def audit(journal: Journal, trust: Callable[[], tuple[Verifier, str]] | None) -> Audited:
    """Every chain, then every signature over heads. JournalDamaged names the first broken link.

    trust: the verifier and the key that configuration pins, asked for only where heads are signed; None: only the
    chains. IntegrityBroken where heads are signed and no journal key is pinned.
    """
    streams = journal.streams("")
    read = {stream: journal.read(stream) for stream in streams}
    events = sum(len(entries) for entries in read.values())
    said = [x for entries in read.values() for x in entries if isinstance(x.event, e.HeadsSigned)]
    if trust is None or not said:
        return Audited(events=events, streams=len(streams), unsigned=len(streams))
    verifier, trusted_key = trust()
    if not trusted_key:
        raise _untrusted("there are signed heads, and fleet.toml pins no key to check them with")
    covered: dict[str, int] = {}
    for entry in sorted(said, key=lambda x: (x.at, x.stream, x.seq)):
        verify_heads(entry, verifier, trusted_key, lambda stream: read.get(stream, ()))
        assert isinstance(entry.event, e.HeadsSigned), "only these were picked"
        for head in entry.event.heads:
            covered[head.stream] = max(covered.get(head.stream, 0), head.seq)
    behind = sum(len(read[stream]) - seq for stream, seq in covered.items())
    return Audited(
        events=events,
        streams=len(streams),
        signatures=len(said),
        unsigned=len(streams) - len(covered),
        behind=behind,
    )


def _untrusted(problem: str) -> IntegrityBroken:
    return IntegrityBroken(
        problem,
        state="nothing was done on the strength of this journal",
        remedy="find out who changed the journal, or [tools] journal_key of fleet.toml; `release bootstrap tools`"
        " tells the key",
    )


def _contradicted(problem: str) -> JournalDamaged:
    return JournalDamaged(
        f"the journal contradicts its signed heads: {problem}",
        state="nothing was done on the strength of this journal",
        remedy="restore the state from a backup, then type: release audit verify",
    )
