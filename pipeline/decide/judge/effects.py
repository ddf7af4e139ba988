"""Floor 2, decide/judge: from counts and quantiles to one number an account: its change against its own history. Pure.

Of a rate: y = log((e1+a1)/(r1+2a1)) - log((e0+a0)/(r0+2a0)), the Haldane log ratio, whose one error too many is shared
by exposure: a1 = r1/(r1+r0), a0 = r0/(r1+r0). For windows of the same size that is the usual half for each; a history
four times as long would otherwise make four times the rate out of no errors at all. v = 1/(e1+.5) + 1/(e0+.5).
Of a latency: the difference of the logarithms of its quantile, with the variance that a quantile of n requests has
when requests are log-normal with a spread of one (`_quantile_variance`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from pipeline.model.judgement import AccountEvidence, MetricEvidence, Role, Sample
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec

__all__ = ["Point", "points"]

_NORMAL = NormalDist()
MICRO = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """y: the log of now over before. v: its sampling variance. weight: 1/(v + tau²), so that no giant decides alone.

    expected: errors in the window if nothing had changed. now, before: a rate, or a level in the metric's unit.
    own_history: False where the fleet's history stands in for one that the account does not have.
    """

    account: AccountEvidence
    stratum: str
    y: float
    v: float
    weight: float
    requests: int
    errors: int
    expected: float
    now: float
    before: float
    own_history: bool

    @property
    def is_canary(self) -> bool:
        return self.account.role is Role.CANARY


def points(
    accounts: Sequence[AccountEvidence], spec: MetricSpec, policy: JudgePolicy
) -> tuple[tuple[Point, ...], tuple[tuple[AccountEvidence, str], ...]]:
    """(the points, accounts without one and why). An account that served nothing or could not be read has none."""
    found: list[Point] = []
    left: list[tuple[AccountEvidence, str]] = []
    fleet = _pooled([history for a in accounts if (history := _history(_of(a, spec.name), spec)) is not None])
    for account in accounts:
        evidence = _of(account, spec.name)
        if evidence is None or evidence.now is None:
            left.append((account, (evidence.unread if evidence else "") or "could not be read"))
        elif evidence.now.requests <= 0:
            left.append((account, "served no requests"))
        else:
            before = _history(evidence, spec)
            if before is None and (fleet is None or account.role is Role.CONTROL):
                left.append((account, "has no history"))
                continue
            found.append(_point(account, evidence.now, before, fleet, spec, policy))
    return tuple(found), tuple(left)


def _of(account: AccountEvidence, name: str) -> MetricEvidence | None:
    return next((metric for metric in account.metrics if metric.metric == name), None)


def _history(evidence: MetricEvidence | None, spec: MetricSpec) -> Sample | None:
    weeks = [w for w in evidence.history if w.requests > 0] if evidence is not None else []
    if not weeks:
        return None
    requests = sum(week.requests for week in weeks)
    if spec.kind is MetricKind.RATE:
        return Sample(requests=requests, errors=sum(week.errors for week in weeks))
    mean = sum(week.requests * math.log(max(1, week.level)) for week in weeks) / requests
    return Sample(requests=requests, level=round(math.exp(mean)))


def _pooled(histories: Sequence[Sample]) -> Sample | None:
    """What a typical account did: each counts once, and what it says is worth one typical account's requests."""
    if not histories:
        return None
    middle = sorted(history.requests for history in histories)[len(histories) // 2]
    errors = math.fsum((h.errors + 0.5) / (h.requests + 1) for h in histories) / len(histories) * middle
    level = math.fsum(math.log(max(1, h.level)) for h in histories) / len(histories)
    return Sample(requests=middle, errors=round(errors), level=round(math.exp(level)))


def _point(
    account: AccountEvidence,
    now: Sample,
    own: Sample | None,
    fleet: Sample | None,
    spec: MetricSpec,
    policy: JudgePolicy,
) -> Point:
    before = own or fleet
    assert before is not None, "an account has its own history or the fleet's"
    if spec.kind is MetricKind.RATE:
        share = now.requests / (now.requests + before.requests)
        y = math.log(_haldane(now, share) / _haldane(before, 1 - share))
        v = 1 / (now.errors + 0.5) + 1 / (before.errors + 0.5)
        shown = now.errors / now.requests, before.errors / before.requests
    else:
        y = math.log(max(1, now.level)) - math.log(max(1, before.level))
        v = _quantile_variance(spec, now.requests) + _quantile_variance(spec, before.requests)
        shown = now.level / MICRO, before.level / MICRO
    if own is None:
        v += (policy.level_percent / 100) ** 2
    return Point(
        account=account,
        stratum=account.stratum,
        y=y,
        v=v,
        weight=1 / (v + (policy.tau_percent / 100) ** 2),
        requests=now.requests,
        errors=now.errors,
        expected=before.errors / before.requests * now.requests,
        now=shown[0],
        before=shown[1],
        own_history=own is not None,
    )


def _haldane(sample: Sample, share: float) -> float:
    return (sample.errors + share) / (sample.requests + 2 * share)


def _quantile_variance(spec: MetricSpec, requests: int) -> float:
    """p(1-p) / (n f(z)²) for the logarithm of a log-normal quantile with spread 1. A statistic that is no quantile
    counts as the median."""
    text = spec.quantile.removeprefix("p")
    share = float(text) / 100 if text.replace(".", "", 1).isdigit() else 0.5
    share = min(0.9999, max(0.0001, share))
    return share * (1 - share) / (requests * _NORMAL.pdf(_NORMAL.inv_cdf(share)) ** 2)
