"""Floor 3, the stage in which a person lets the guard pass over one finding: signed, exact, and for a while only.

Waivers are files in the folder `waivers` beside fleet.toml, so that they are reviewed and kept like the fleet itself.
A file is written once and never changed; one that is expired does no harm and no good.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.decide.guard import is_waivable_rule
from pipeline.decide.waivers import signature_of, waiver_digest
from pipeline.errors import ConfigInvalid, IntegrityBroken, OperationFailed, UsageError
from pipeline.model.canonical import sha256_hex
from pipeline.model.waiver import (
    SignedWaiver,
    Waiver,
    signed_waiver_from_json,
    signed_waiver_to_json,
    waiver_bytes,
)
from pipeline.ports import Signer, Verifier

__all__ = ["MAX_LIFE", "WAIVERS_FOLDER", "read_waivers", "verify_waivers", "waive"]

WAIVERS_FOLDER = "waivers"
MAX_LIFE = timedelta(days=30)
"""A longer one would be a policy, not an exception."""
_MAX_BYTES = 64 * 1024


def waive(waiver: Waiver, signer: Signer, folder: Path, now: datetime) -> Path:
    """Sign it and write it into the folder; the file's path. The same waiver again gives the same name.

    UsageError for a rule that cannot be waived, or for one that would live too long or not at all.
    """
    if not is_waivable_rule(waiver.rule):
        raise UsageError(
            f"{waiver.rule!r} is no rule that can be waived",
            state="nothing was signed",
            remedy="take the command that `release plan` shows under what blocks",
        )
    if not now < waiver.expires <= now + MAX_LIFE:
        raise UsageError(
            f"a waiver lives for at most {MAX_LIFE.days} days",
            state="nothing was signed",
            remedy=f"write --days with a number from 1 to {MAX_LIFE.days}",
        )
    signature = base64.b64encode(signer.sign(waiver_digest(waiver))).decode("ascii")
    signed = SignedWaiver(waiver=waiver, key=signer.key, signature=signature)
    path = folder / _file_name(waiver)
    try:
        folder.mkdir(exist_ok=True)
        _write(path, signed_waiver_to_json(signed) + b"\n")
    except OSError as fault:
        raise OperationFailed(
            f"{path} cannot be written: {fault.strerror}",
            state="the waiver was signed, but stands nowhere",
            remedy="make room or mend the folder's permissions, then run the command again",
        ) from fault
    return path


def _file_name(waiver: Waiver) -> str:
    who = waiver.client or "group"
    named = re.sub(r"[^A-Za-z0-9.@-]", "-", f"{waiver.release}-{who}-{waiver.logical_id}")
    return f"{named[:120]}-{sha256_hex(waiver_bytes(waiver))[:12]}.json"


def _write(path: Path, content: bytes) -> None:
    """In one step: whoever plans at the same time sees the whole file or none."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_waivers(folder: Path, verifier: Verifier, key: str) -> tuple[SignedWaiver, ...]:
    """Every waiver in the folder, by file name, each with a signature that holds; expired ones, too.

    key: ARN of the key that fleet.toml pins. No folder is an empty one. ConfigInvalid with every file that is no
    waiver; IntegrityBroken with every one whose signature does not hold; UsageError where no key is pinned.
    """
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    found: list[tuple[str, SignedWaiver]] = []
    faults: list[str] = []
    for path in paths:
        try:
            found.append((path.name, _read(path)))
        except (OSError, ValueError, RecursionError) as fault:
            faults.append(f"{folder.name}/{path.name}: {fault}")
    if faults:
        raise ConfigInvalid(
            f"{len(faults)} files in {folder.name} are no waivers",
            state="nothing was planned",
            details=tuple(faults),
            remedy="take them away, or write them anew with `release waive`",
        )
    _refuse_unsigned(found, verifier, key)
    return tuple(signed for _, signed in found)


def _read(path: Path) -> SignedWaiver:
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError("too large")
    return signed_waiver_from_json(path.read_bytes())


def verify_waivers(waivers: Sequence[SignedWaiver], verifier: Verifier, key: str) -> None:
    """IntegrityBroken where the signature of any does not hold: what a stored plan brings along is checked again."""
    named = [(f"{each.waiver.logical_id} of {each.waiver.release}", each) for each in waivers]
    _refuse_unsigned(named, verifier, key)


def _refuse_unsigned(named: Sequence[tuple[str, SignedWaiver]], verifier: Verifier, key: str) -> None:
    if not named:
        return
    if not key:
        raise UsageError(
            "there are waivers, but fleet.toml pins no journal key to check them with",
            state="nothing was touched",
            remedy="run `release bootstrap tools`",
        )
    broken = tuple(
        f"{name}: its signature was not made by the pinned journal key, or its text was changed since"
        for name, each in named
        if not verifier.verify(key, waiver_digest(each.waiver), signature_of(each))
    )
    if broken:
        raise IntegrityBroken(
            f"{len(broken)} {'waiver' if len(broken) == 1 else 'waivers'} cannot be trusted",
            state="nothing was touched",
            details=broken,
            remedy="take them away, find out who wrote them, and sign anew with `release waive`",
        )
