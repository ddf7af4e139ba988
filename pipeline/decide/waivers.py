"""Floor 2, waivers: which finding of the guard a signed waiver covers, and who is stopped by what is left. Pure.

A waiver fits exactly or not at all: another release, client, resource, physical id or kind of change, or an instant
too late, and it covers nothing. Signatures are checked where waivers are read (`stages.waive`), not here.
"""

from __future__ import annotations

import base64
import binascii
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.decide.guard import GuardFinding, sentences, stops_only_itself
from pipeline.decide.provenance import signed_digest
from pipeline.model.ids import ReleaseName, TargetId
from pipeline.model.plan import EffectKind, PlannedTarget, SkippedTarget
from pipeline.model.waiver import (
    ANY_PHYSICAL_ID,
    WAIVER_TYPE,
    SignedWaiver,
    Waiver,
    waiver_bytes,
)

__all__ = [
    "Apart",
    "covered",
    "covers",
    "set_apart",
    "signature_of",
    "waive_command",
    "waiver_digest",
    "ways_to_accept",
]

_NAMED = 6
"""Targets named before the rest is counted."""


def covered(
    found: Sequence[GuardFinding],
    waivers: Sequence[SignedWaiver],
    target: PlannedTarget,
    now: datetime,
) -> tuple[tuple[GuardFinding, ...], tuple[SignedWaiver, ...]]:
    """(what still blocks, the waivers that were used), both in the order in which they came.

    waivers: only those whose signature holds. target: of the release's own plan, also on the way back.
    """
    release = ReleaseName.parse(target.desired.release)
    used: list[SignedWaiver] = []
    blocking: list[GuardFinding] = []
    for finding in found:
        fitting = [each for each in waivers if covers(each.waiver, finding, release, target.id, now)]
        if fitting:
            used += fitting
        else:
            blocking.append(finding)
    return tuple(blocking), tuple(each for each in waivers if each in used)


def covers(
    waiver: Waiver, finding: GuardFinding, release: ReleaseName, target: TargetId, now: datetime
) -> bool:
    """Whether this one waiver speaks of exactly this finding at this target, and has not expired."""
    if not finding.waivable or now >= waiver.expires or waiver.release != release:
        return False
    if (waiver.logical_id, waiver.rule) != (finding.logical_id, finding.rule):
        return False
    if waiver.effect is None:
        # A service's own account is waived under its name with `@`.
        return waiver.client == target.owner and _same_resource(waiver, finding)
    if waiver.effect != finding.effect:
        return False
    return waiver.physical_id == ANY_PHYSICAL_ID or _same_resource(waiver, finding)


def _same_resource(waiver: Waiver, finding: GuardFinding) -> bool:
    return bool(finding.physical_id) and waiver.physical_id == finding.physical_id


# --- signatures ------------------------------------------------------------------------------------


def waiver_digest(waiver: Waiver) -> bytes:
    """The 32 bytes that the key signs."""
    return signed_digest(waiver_bytes(waiver), WAIVER_TYPE)


def signature_of(signed: SignedWaiver) -> bytes:
    """Empty where the text is no base64: no check accepts that."""
    try:
        return base64.b64decode(signed.signature, validate=True)
    except (binascii.Error, ValueError):
        return b""


# --- who is stopped --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """stopped: targets that get nothing in this run, each with its findings as the reason.

    refused: where not empty the plan cannot be made at all, for these reasons.
    """

    stopped: tuple[SkippedTarget, ...] = ()
    refused: tuple[str, ...] = ()


def set_apart(
    blocked: Sequence[tuple[PlannedTarget, Sequence[GuardFinding]]], planned: Sequence[PlannedTarget]
) -> Apart:
    """One client's blocked change stops that client, in all its Regions, and nobody else.

    The plan is refused where the service's own stack is blocked, because no client is served before its service, or
    where no client is left that would be changed. blocked: targets with findings that no waiver covers. planned:
    every target of the plan to be, the blocked ones included.
    """
    own = {target.id: "; ".join(sentences(found)) for target, found in blocked if found}
    if not own:
        return Apart()
    owners = {target.owner for target in own}
    changing = {target.id.owner for target in planned if _is_changed_client(target)}
    if changing <= owners or not all(stops_only_itself(target) for target in own):
        return Apart(refused=_reasons(blocked))
    return Apart(
        stopped=tuple(
            SkippedTarget(id=target.id, reason=_reason(target.id, own))
            for target in sorted(planned, key=lambda t: str(t.id))
            if target.id.owner in owners
        )
    )


def _reasons(blocked: Sequence[tuple[PlannedTarget, Sequence[GuardFinding]]]) -> tuple[str, ...]:
    """Each finding once, behind those that it was found at: of a thousand clients most say the same."""
    alike: dict[str, list[str]] = {}
    for target, found in blocked:
        for finding in found:
            alike.setdefault(str(finding), []).append(str(target.id))
    return tuple(f"{_several(targets)}: {finding}" for finding, targets in alike.items())


def _several(targets: Sequence[str]) -> str:
    shown = ", ".join(targets[:_NAMED])
    return shown if len(targets) <= _NAMED else f"{shown} and {len(targets) - _NAMED} more"


def _is_changed_client(target: PlannedTarget) -> bool:
    return stops_only_itself(target.id) and target.effect is not EffectKind.NOTHING


def _reason(target: TargetId, own: dict[TargetId, str]) -> str:
    if target in own:
        return f"is blocked by the guard: {own[target]}"
    others = ", ".join(sorted(str(other) for other in own if other.owner == target.owner))
    return f"waits for {others}, which the guard blocks"


def waive_command(release: str, target: TargetId, finding: GuardFinding) -> str:
    """What a person who accepts the loss types; empty where nobody can."""
    if not finding.waivable or not finding.physical_id:
        return ""
    return (
        f"release waive {release} --client {shlex.quote(target.owner)} --resource {finding.logical_id}"
        f" --physical-id {shlex.quote(finding.physical_id)} --rule {finding.rule} --reason …"
    )


def ways_to_accept(
    release: str, blocked: Sequence[tuple[PlannedTarget, Sequence[GuardFinding]]]
) -> tuple[str, ...]:
    """What a person who accepts the loss types: for single targets, the first few of those that are alike, and the
    one waiver for all of them. Nothing for what nobody can accept."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for target, found in blocked:
        for finding in found:
            # Without an effect that others could share each stands for itself.
            effect = str(finding.effect) if finding.effect is not None else str(target.id)
            if command := waive_command(release, target.id, finding):
                alike.setdefault((effect, finding.logical_id, finding.rule), []).append(command)
    lines: list[str] = []
    for (effect, resource, rule), commands in alike.items():
        lines += [f"to accept the loss: {command}" for command in commands[:_NAMED]]
        if len(commands) > 1:
            lines.append(
                f"for all {len(commands)} alike: release waive {release} --group {effect} --resource {resource}"
                f" --rule {rule} --reason …"
            )
    return tuple(lines)
