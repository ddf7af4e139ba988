"""Floor 2, decide/judge: whom to ask and for which hours, and how answers of several Regions become one. Pure."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pipeline.model.ids import AccountId, Digest, TargetId
from pipeline.model.judgement import Role, Sample
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec
from pipeline.model.members import members
from pipeline.model.plan import EffectKind, Plan, PlannedTarget, WaveKind
from pipeline.model.run_state import RunState
from pipeline.model.target_state import Phase, TargetState

__all__ = ["Asked", "asked", "is_randomised", "merged", "resolved", "seed_of", "windows"]

PERIOD = timedelta(minutes=5)
"""CloudWatch keeps one-minute data for 15 days only and five-minute data for 63 (GetMetricData, "retention"), and
the same hours of weeks ago have to be read like those of today."""
_EPOCH = datetime(2000, 1, 3, tzinfo=UTC)
_PLACEHOLDER = re.compile(r"\{(stack|output:([A-Za-z0-9]+))\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One account to read: its client, its role, and its targets, one for each Region."""

    account: AccountId
    client: str
    role: Role
    stratum: str
    targets: tuple[PlannedTarget, ...]


def asked(
    plan: Plan, run: RunState, targets: Mapping[TargetId, TargetState], number: int
) -> tuple[Asked, ...]:
    """The wave's healthy accounts, and clients of later waves that still wait on the old version.

    Of those at most as many as the policy says: first from the canaries' own strata, otherwise by lot, by a number
    that follows from the plan. A stack that does not exist yet, or that runs this release already, is no control.
    """
    planned = {target.id: target for target in plan.targets}
    canaries = _accounts(
        (planned[t] for t in members(plan, run, number) if targets[t].phase is Phase.HEALTHY), Role.CANARY
    )
    taken, strata = {a.account for a in canaries}, {a.stratum for a in canaries}
    waiting = (
        planned[t]
        for later in range(number + 1, len(plan.waves))
        for t in members(plan, run, later)
        if t.is_client and targets[t].phase is Phase.PENDING and planned[t].effect is EffectKind.UPDATE
    )
    controls = [a for a in _accounts(waiting, Role.CONTROL) if a.account not in taken]
    controls.sort(key=lambda a: (a.stratum not in strata, seed_of(plan.digest, number, a.account)))
    return (*canaries, *controls[: plan.judge.controls])


def _accounts(targets: Iterable[PlannedTarget], role: Role) -> list[Asked]:
    found: dict[AccountId, list[PlannedTarget]] = {}
    for target in targets:
        found.setdefault(target.account, []).append(target)
    return [
        Asked(
            account=account,
            client=regions[0].id.owner,
            role=role,
            stratum=regions[0].stratum,
            targets=tuple(regions),
        )
        for account, regions in sorted(found.items())
    ]


def is_randomised(plan: Plan, number: int) -> bool:
    """Whether the wave's clients were drawn by lot, which is what makes exchanging labels exact."""
    return plan.waves[number].kind is WaveKind.CANARY and plan.draw is not None and plan.draw.randomised


def seed_of(plan: Digest, wave: int, look: int | str) -> int:
    """48 bits that nobody chose: they follow from what is judged."""
    return int.from_bytes(hashlib.sha256(f"{plan}/{wave}/{look}".encode()).digest()[:6], "big")


def windows(policy: JudgePolicy, since: datetime, now: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """(since, until) of this bake so far, then the same hours of each earlier week. Empty where no period is over.

    Whole periods of five minutes, and nothing so young that CloudWatch may not have it yet.
    """
    begin = _EPOCH - (_EPOCH - since.astimezone(UTC)) // PERIOD * PERIOD
    end = _EPOCH + (now.astimezone(UTC) - policy.lag - _EPOCH) // PERIOD * PERIOD
    if end <= begin:
        return ()
    weeks = (timedelta(weeks=week) for week in range(policy.weeks + 1))
    return tuple((begin - back, end - back) for back in weeks)


def resolved(spec: MetricSpec, stack: str, outputs: Mapping[str, str]) -> MetricSpec:
    """The spec with its placeholders filled in. ValueError, as a clause, for an output that the stack does not have."""

    def value(found: re.Match[str]) -> str:
        if found[1] == "stack":
            return stack
        if found[2] not in outputs:
            raise ValueError(f"its stack has no output {found[2]}")
        return outputs[found[2]]

    dimensions = tuple((name, _PLACEHOLDER.sub(value, text)) for name, text in spec.dimensions)
    return replace(spec, dimensions=dimensions)


def merged(spec: MetricSpec, samples: Sequence[Sample]) -> Sample | None:
    """One sample of an account's Regions: counts add up, levels are weighed by requests. None for none at all."""
    if not samples:
        return None
    requests = sum(sample.requests for sample in samples)
    if spec.kind is MetricKind.RATE:
        return Sample(requests=requests, errors=sum(sample.errors for sample in samples))
    if not requests:
        return Sample(requests=0)
    mean = math.fsum(s.requests * math.log(max(1, s.level)) for s in samples) / requests
    return Sample(requests=requests, level=samples[0].level if len(samples) == 1 else round(math.exp(mean)))
