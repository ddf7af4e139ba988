"""Floor 1, waivers: what a person allowed the guard to let through, and until when. No effects.

A waiver names one finding of the guard as exactly as can be: the release, whose target, the resource by its logical
and its physical id, and what may be done to it. It is signed, so that nobody can write or widen one by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.model.canonical import canonical
from pipeline.model.codec import from_json, sparse_json, to_json
from pipeline.model.ids import Digest, ReleaseName

__all__ = [
    "ANY_PHYSICAL_ID",
    "WAIVER_TYPE",
    "SignedWaiver",
    "Waiver",
    "signed_waiver_from_json",
    "signed_waiver_to_json",
    "waiver_bytes",
]

WAIVER_TYPE = "application/vnd.tidegate.waiver+json"
"""What kind of text the signature is made over (DSSE's payload type): no other signature of the same key fits."""
ANY_PHYSICAL_ID = "*"
"""Only for an effect group: its members have the same effect, but each its own resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Either client or effect is given, never both. ValueError otherwise.

    effect: digest of the effect group, as `release plan` shows it. rule: the guard's rule, such as `removal` or
    `property:KeyPolicy`. physical_id: exact; `*` only for an effect group. approver: who AWS said signed it.
    expires: from this instant on it covers nothing.
    """

    release: ReleaseName
    logical_id: str
    physical_id: str
    rule: str
    reason: str
    approver: str
    expires: datetime
    client: str = ""
    effect: Digest | None = None

    def __post_init__(self) -> None:
        if bool(self.client) == (self.effect is not None):
            raise ValueError("a waiver names either a client or an effect group")
        if not all((self.logical_id, self.physical_id, self.rule, self.reason, self.approver)):
            raise ValueError("a waiver names a logical id, a physical id, a rule, a reason and its approver")
        if self.physical_id == ANY_PHYSICAL_ID and self.client:
            raise ValueError("a waiver for one client names the physical id of its resource")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedWaiver:
    """key: ARN of the KMS key, for people; whoever verifies uses the pinned one. signature: DER in base64."""

    waiver: Waiver
    key: str
    signature: str


def waiver_bytes(waiver: Waiver) -> bytes:
    """Canonical JSON: what is signed, under `WAIVER_TYPE`."""
    return canonical(sparse_json(waiver))


def signed_waiver_to_json(signed: SignedWaiver) -> bytes:
    return canonical(to_json(signed))


def signed_waiver_from_json(content: bytes) -> SignedWaiver:
    """ValueError where the bytes are not a signed waiver."""
    return from_json(SignedWaiver, content)
