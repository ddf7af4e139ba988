"""Floor 2, waves: which targets go when. Pure: the same fleet, policy and seed give the same waves.

Laws (tests/properties): the waves partition the targets; wave 0 is the service's own account, wave 1 the canary;
all Regions of one client are in one wave, in the client's order; order never depends on the order of the input.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.model.ids import TargetId
from pipeline.model.plan import Wave, WaveKind
from pipeline.model.policy import Pace, WavePolicy, WaveSize

__all__ = ["Candidate", "cut_waves"]

_FIRST_RINGS = ("canary", "early")
_LAST_RING = "late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One client that will get the release, with its targets in its Region order."""

    client: str
    ring: str
    targets: tuple[TargetId, ...]


def cut_waves(
    service: Sequence[TargetId], clients: Sequence[Candidate], policy: WavePolicy, seed: str
) -> tuple[Wave, ...]:
    """service: targets of the service's own account; may be empty, and then there is no wave 0.

    seed: the release's name, so that it is not always the same client that goes first.
    Percentages are of the clients behind the canary, rounded up: a wave is never empty.
    """
    ordered = sorted(clients, key=lambda c: (_ring_rank(c.ring), _draw(seed, c.client)))
    waves: list[Wave] = []
    if service:
        waves.append(_service_wave(tuple(sorted(service)), policy))
    canary, rest = ordered[: policy.canary.clients], ordered[policy.canary.clients :]
    if canary:
        waves.append(_canary_wave(canary, policy))
    for chunk in _chunks(rest, policy.sizes):
        waves.append(_client_wave(len(waves), chunk, policy, bool(service)))
    return tuple(waves)


def _ring_rank(ring: str) -> tuple[int, str]:
    """canary, early, then a company's own rings (`default` among them) by name, then late."""
    if ring in _FIRST_RINGS:
        return (_FIRST_RINGS.index(ring), "")
    return (len(_FIRST_RINGS) + (ring == _LAST_RING), ring)


def _draw(seed: str, client: str) -> str:
    return hashlib.sha256(f"{seed}\n{client}".encode()).hexdigest()


def _chunks(clients: Sequence[Candidate], sizes: Sequence[WaveSize]) -> list[Sequence[Candidate]]:
    total, start = len(clients), 0
    chunks: list[Sequence[Candidate]] = []
    for size in sizes:
        if start >= total:
            break
        take = _take(size, total, total - start)
        chunks.append(clients[start : start + take])
        start += take
    if start < total:
        chunks.append(clients[start:])
    return chunks


def _take(size: WaveSize, total: int, left: int) -> int:
    if size.unit == "rest":
        return left
    wanted = -(-total * size.amount // 100) if size.unit == "%" else size.amount
    return min(left, max(1, wanted))


def _targets(clients: Sequence[Candidate]) -> tuple[TargetId, ...]:
    return tuple(target for client in clients for target in client.targets)


def _service_wave(targets: tuple[TargetId, ...], policy: WavePolicy) -> Wave:
    return Wave(
        name="service",
        kind=WaveKind.SERVICE,
        targets=targets,
        bake=policy.service.bake,
        tolerance=0,
        max_in_flight=1,
        max_skipped=0,
        pace=Pace.STRICT,
        on_fail=policy.on_fail.service,
    )


def _canary_wave(clients: Sequence[Candidate], policy: WavePolicy) -> Wave:
    return Wave(
        name="canary",
        kind=WaveKind.CANARY,
        targets=_targets(clients),
        bake=policy.canary.bake,
        tolerance=0,
        max_in_flight=1,
        max_skipped=policy.max_skipped,
        pace=Pace.STRICT,
        on_fail=policy.on_fail.canary,
    )


def _client_wave(position: int, clients: Sequence[Candidate], policy: WavePolicy, served: bool) -> Wave:
    # Names count as in the documentation, wave 0 the service and wave 1 the canary, even where a service has
    # no account of its own.
    return Wave(
        name=f"wave-{position if served else position + 1}",
        kind=WaveKind.WAVE,
        targets=_targets(clients),
        bake=policy.bake,
        tolerance=policy.tolerance,
        max_in_flight=policy.max_in_flight,
        max_skipped=policy.max_skipped,
        pace=policy.pace,
        on_fail=policy.on_fail.wave,
    )
