"""Floor 2, waves: which targets go when. Pure: the same fleet, policy and seed give the same waves.

Laws (tests/properties): the waves partition the targets; wave 0 is the service's own account, wave 1 the canary;
all Regions of one client are in one wave, in the client's order; order never depends on the order of the input.

Who is in the canary is drawn (`decide.canary`). Those behind it go ring by ring, bold rings first, by lot inside a
ring, cut into waves by count, by percentage, by ring (`ring:early`: whoever of that ring is left) or as the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pipeline.decide.canary import Candidate, by_lot, draw_canary, ring_rank
from pipeline.model.ids import TargetId
from pipeline.model.plan import CanaryDraw, Wave, WaveKind
from pipeline.model.policy import Pace, WavePolicy, WaveSize

__all__ = ["Candidate", "cut_waves", "draw_and_cut"]


def cut_waves(
    service: Sequence[TargetId], clients: Sequence[Candidate], policy: WavePolicy, seed: str
) -> tuple[Wave, ...]:
    """`draw_and_cut` without the record of the draw, for a plan whom nothing can hold back."""
    return draw_and_cut(service, clients, policy, seed)[0]


def draw_and_cut(
    service: Sequence[TargetId],
    clients: Sequence[Candidate],
    policy: WavePolicy,
    seed: str,
    *,
    late: bool = False,
) -> tuple[tuple[Wave, ...], CanaryDraw | None]:
    """service: targets of the service's own account; may be empty, and then there is no wave 0.

    seed: the release's name and digest, so that it is not always the same client that goes first.
    Percentages are of the clients behind the canary, rounded up: a wave is never empty, but for the one more at
    the end where `late` asks for it: it takes in whoever a window or a freeze held back.
    """
    waves: list[Wave] = []
    if service:
        waves.append(_service_wave(tuple(sorted(service)), policy))
    draw = draw_canary(clients, policy.canary.clients, seed)
    named = {client.client: client for client in clients}
    first = draw.canaries if draw is not None else ()
    canary = [named.pop(name) for name in first]
    if canary:
        waves.append(_canary_wave(canary, policy))
    rest = sorted(
        named.values(),
        key=lambda c: (ring_rank(c.ring), by_lot(seed, "turn", c.client)),
    )
    chunks = [*_chunks(rest, policy.sizes), *([()] if late and canary else [])]
    for number, chunk in enumerate(chunks, start=2):
        waves.append(_client_wave(number, chunk, policy))
    return tuple(waves), draw


def _chunks(clients: Sequence[Candidate], sizes: Sequence[WaveSize]) -> list[Sequence[Candidate]]:
    left, total = list(clients), len(clients)
    chunks: list[Sequence[Candidate]] = []
    for size in (*sizes, WaveSize(0, "rest")):
        chunk = _take(size, left, total)
        if chunk:
            chunks.append(chunk)
            taken = {client.client for client in chunk}
            left = [client for client in left if client.client not in taken]
    return chunks


def _take(size: WaveSize, left: Sequence[Candidate], total: int) -> Sequence[Candidate]:
    match size.unit:
        case "rest":
            return left
        case "ring":
            return [client for client in left if client.ring == size.ring]
        case "%":
            return left[: max(1, -(-total * size.amount // 100))]
        case _:
            return left[: max(1, size.amount)]


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
        approval=0 in policy.approvals,
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
        extend=policy.canary.longest_extension,
        min_requests=policy.canary.min_requests,
        approval=1 in policy.approvals,
    )


def _client_wave(number: int, clients: Sequence[Candidate], policy: WavePolicy) -> Wave:
    # Names count as in the documentation, wave 0 the service and wave 1 the canary, even where a service has
    # no account of its own. Only the canary waits for evidence: behind it fewer and fewer controls are left to
    # compare with, and the hard gates speak.
    return Wave(
        name=f"wave-{number}",
        kind=WaveKind.WAVE,
        targets=_targets(clients),
        bake=policy.bake,
        tolerance=policy.tolerance,
        max_in_flight=policy.max_in_flight,
        max_skipped=policy.max_skipped,
        pace=policy.pace,
        on_fail=policy.on_fail.wave,
        extend=timedelta(0),
        approval=number in policy.approvals,
    )
