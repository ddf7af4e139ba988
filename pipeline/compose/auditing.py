"""Floor 4, composition: what signs the journal's heads, and what proves them. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.model.event import HeadsSigned, SignedHead
from pipeline.model.plan import Plan
from stages.audit import Audited, audit, heads_of, signed

if TYPE_CHECKING:
    from pipeline.compose.house import House

__all__ = ["audited", "head_signer"]


def head_signer(house: House, plan: Plan) -> Callable[[tuple[SignedHead, ...]], HeadsSigned] | None:
    """Signs with the journal key, as the role that promotes; None where configuration pins no such key.

    Besides the heads that the engine names, those of the service's earlier releases: their streams are finished, and
    nobody else would vouch for their ends.
    """
    key = house.tools.journal_key
    if not key:
        return None

    def sign(heads: tuple[SignedHead, ...]) -> HeadsSigned:
        from pipeline.adapters.aws.kms import KmsSigner

        every = tuple(sorted({*heads, *heads_of(house.store.journal, plan)}, key=lambda head: head.stream))
        return signed(every, KmsSigner(house.aws, house.role("TidegatePromote"), key))

    return sign


def audited(house: House, *, signatures: bool) -> Audited:
    """Every chain of the journal; with signatures, what KMS says of the signed heads as well."""
    trust = (lambda: (house.verifier(), house.tools.journal_key)) if signatures else None
    return audit(house.store.journal, trust)
