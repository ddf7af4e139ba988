"""Floor 2, decide/judge: one metric over one cohort: what was measured, before anything is said about it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.decide.judge.account import Movement, Standing, movement, standing
from pipeline.decide.judge.cohort import Contrast, contrast
from pipeline.decide.judge.effects import Point, points
from pipeline.decide.judge.looks import alpha_at, labelings, may_stratify
from pipeline.decide.judge.tails import poisson_upper
from pipeline.model.judgement import AccountEvidence, CohortEvidence, Role
from pipeline.model.judging import MetricKind, MetricSpec

__all__ = ["Measured", "measure"]

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One metric's numbers. contrast: None where there are no canaries or no controls to compare.

    standings: of the canaries, in the order of `canaries`. left: canaries without a number, and why. left_controls:
    how many controls have none. few: canaries that served less than they must have.
    expected, errors: of the canaries together. negligible: even the upper bound of their rate is too small to matter.
    matters: their rate is large enough to fail a release; controls_matter: the controls' is, for an incident.
    """

    spec: MetricSpec
    canaries: tuple[Point, ...]
    controls: tuple[Point, ...]
    left: tuple[tuple[AccountEvidence, str], ...]
    left_controls: int
    few: tuple[Point, ...]
    stratified: bool
    ways: int
    contrast: Contrast | None
    movement: Movement
    standings: tuple[Standing, ...]
    expected: float
    errors: int
    negligible: bool
    matters: bool
    controls_matter: bool

    @property
    def allowed(self) -> float:
        return math.log(self.spec.allowed_percent / 100)


def measure(evidence: CohortEvidence, spec: MetricSpec, place: int) -> Measured:
    """place: which metric of the policy this is; it keeps the draws of two metrics apart."""
    policy = evidence.policy
    ordered = sorted(evidence.accounts, key=lambda a: (a.account, a.client))
    found, left = points(ordered, spec, policy)
    canaries = tuple(p for p in found if p.is_canary)
    controls = tuple(p for p in found if not p.is_canary)
    groups, stratified = _groups(evidence, found)
    tail = alpha_at(policy, evidence.look) / max(1, len(canaries))
    requests, errors = sum(p.requests for p in canaries), sum(p.errors for p in canaries)
    return Measured(
        spec=spec,
        canaries=canaries,
        controls=controls,
        left=tuple((a, why) for a, why in left if a.role is Role.CANARY),
        left_controls=sum(a.role is Role.CONTROL for a, _ in left),
        few=tuple(p for p in canaries if p.requests < evidence.min_requests),
        stratified=stratified,
        ways=labelings([_counts(group) for group in groups]) if canaries else 0,
        contrast=contrast(groups, seed=evidence.seed + place, tail=policy.pass_permille / 1000),
        movement=movement(controls, policy),
        standings=tuple(standing(p, controls, policy, tail) for p in canaries) if tail else (),
        expected=math.fsum(p.expected for p in canaries),
        errors=errors,
        negligible=_is_negligible(spec, errors, requests, policy.pass_permille / 1000),
        matters=_matters(spec, errors, requests),
        controls_matter=_controls_matter(spec, controls, policy.min_events),
    )


def _groups(evidence: CohortEvidence, found: Sequence[Point]) -> tuple[list[list[Point]], bool]:
    """The strata where labels can be exchanged inside them, else everybody in one."""
    strata: dict[str, list[Point]] = {}
    for point in found:
        strata.setdefault(point.stratum, []).append(point)
    groups = [strata[name] for name in sorted(strata)]
    if may_stratify(evidence.policy, [_counts(group) for group in groups]):
        return groups, True
    return [list(found)], len(groups) <= 1


def _counts(group: Sequence[Point]) -> tuple[int, int]:
    canaries = sum(p.is_canary for p in group)
    return canaries, len(group) - canaries


def _matters(spec: MetricSpec, errors: int, requests: int) -> bool:
    if spec.kind is MetricKind.LATENCY:
        return True
    return errors * _MILLION > spec.negligible_ppm * requests


def _controls_matter(spec: MetricSpec, controls: Sequence[Point], least: int) -> bool:
    requests, errors = sum(p.requests for p in controls), sum(p.errors for p in controls)
    return spec.kind is MetricKind.LATENCY or (errors >= least and _matters(spec, errors, requests))


def _is_negligible(spec: MetricSpec, errors: int, requests: int, tail: float) -> bool:
    if spec.kind is MetricKind.LATENCY or not spec.negligible_ppm or not requests:
        return False
    return poisson_upper(errors, tail) * _MILLION <= spec.negligible_ppm * requests
