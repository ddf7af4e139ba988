"""Floor 4, composition: what `release waive` needs: the journal key in the Tools account, and the waivers' folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pipeline.compose.house import House
from pipeline.errors import UsageError
from pipeline.model.ids import Digest, ReleaseName
from pipeline.model.waiver import SignedWaiver, Waiver
from stages.waive import WAIVERS_FOLDER, read_waivers, waive

__all__ = ["WaiverWish", "sign_waiver", "standing_waivers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverWish:
    """A waiver as it was typed: who approves, and until when, is not for the typist to say."""

    release: ReleaseName
    client: str
    effect: Digest | None
    logical_id: str
    physical_id: str
    rule: str
    reason: str
    life: timedelta


def sign_waiver(house: House, wish: WaiverWish) -> tuple[Waiver, Path]:
    """(the waiver, its file). Signed by the journal key; the release key is the build's alone."""
    from pipeline.adapters.aws.kms import KmsSigner

    key = house.tools.journal_key
    if not key:
        raise UsageError(
            "fleet.toml pins no journal key to sign with",
            state="nothing was signed",
            remedy="run `release bootstrap tools`",
        )
    now = house.clock.now()
    try:
        waiver = Waiver(
            release=wish.release,
            client=wish.client,
            effect=wish.effect,
            logical_id=wish.logical_id,
            physical_id=wish.physical_id,
            rule=wish.rule,
            reason=wish.reason,
            approver=house.actor,
            expires=(now + wish.life).replace(microsecond=0),
        )
    except ValueError as fault:
        raise UsageError(str(fault), state="nothing was signed", remedy="release waive --help") from None
    signer = KmsSigner(house.aws, house.role("TidegatePromote"), key)
    return waiver, waive(waiver, signer, house.root / WAIVERS_FOLDER, now)


def standing_waivers(house: House) -> tuple[SignedWaiver, ...]:
    """Those in the folder beside fleet.toml, each with a signature that holds."""
    return read_waivers(house.root / WAIVERS_FOLDER, house.verifier(), house.tools.journal_key)
