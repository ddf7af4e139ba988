"""Floor 2, decide/judge: from numbers to verdicts, and to the sentence that a person reads. Pure.

FAIL takes an effect and its significance together; PASS takes proof that the allowed effect is ruled out, and is said
at the last look only. That nothing bad was found is no reason to pass anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.decide.judge.looks import alpha_at, holm, is_final, needed
from pipeline.decide.judge.metric import Measured, measure
from pipeline.model.judgement import (
    AccountJudgement,
    CohortEvidence,
    Judgement,
    MetricJudgement,
    Number,
    Role,
    number,
)
from pipeline.model.judging import MetricKind
from pipeline.model.target_event import Verdict

__all__ = ["judge"]

_ORDER = (Verdict.FAIL, Verdict.FLEET_EVENT, Verdict.NO_DATA, Verdict.INCONCLUSIVE, Verdict.PASS)
"""What one metric says outweighs what those to its right say."""
_HARD_GATES = "statistics cannot fail this cohort; hard gates only"


@dataclass(frozen=True, slots=True)
class _Said:
    verdict: Verdict
    reason: str
    short: bool = False


def judge(evidence: CohortEvidence) -> Judgement:
    """The same evidence always gives the same judgement; in which order the accounts stand makes no difference.

    Without metrics, or without a registered look, NO_DATA: the judge never passes what it was not shown.
    """
    policy, look = evidence.policy, evidence.look
    alpha, final = alpha_at(policy, look), is_final(policy, look)
    measured = [measure(evidence, spec, place) for place, spec in enumerate(policy.metrics)]
    adjusted = _adjusted(measured)
    said = [_say(evidence, m, p, alpha) for m, p in zip(measured, adjusted, strict=True)]
    metrics = tuple(
        _metric(evidence, m, p, s, alpha) for m, p, s in zip(measured, adjusted, said, strict=True)
    )
    can_fail = any(0 < needed(policy) <= m.ways for m in measured)
    decided = _decided(evidence, said, alpha)
    return Judgement(
        verdict=decided.verdict,
        reason=decided.reason,
        look=look,
        final=final,
        can_fail=can_fail,
        short=decided.verdict is not Verdict.FAIL and any(s.short for s in said),
        randomised=evidence.randomised,
        stratified=all(m.stratified for m in measured),
        notes=_notes(evidence, measured, can_fail),
        metrics=metrics,
    )


def _adjusted(measured: list[Measured]) -> list[float]:
    """p of each metric, after Holm among those that are not critical."""
    values = [m.contrast.p if m.contrast else 1.0 for m in measured]
    sharing = [place for place, m in enumerate(measured) if not m.spec.critical]
    for place, value in zip(sharing, holm([values[place] for place in sharing]), strict=True):
        values[place] = value
    return values


def _decided(evidence: CohortEvidence, said: list[_Said], alpha: float) -> _Said:
    if not said:
        wanted = f", and {evidence.min_requests} requests cannot be counted" if evidence.min_requests else ""
        return _Said(Verdict.NO_DATA, f"there are no metrics to judge by{wanted}")
    if not alpha:
        return _Said(Verdict.INCONCLUSIVE, "this look was not registered in advance, so it decides nothing")
    for verdict in _ORDER[:-1]:
        reasons = [s.reason for s in said if s.verdict is verdict]
        if reasons:
            return _Said(verdict, "; ".join(reasons))
    return _Said(Verdict.PASS, "; ".join(s.reason for s in said))


# --- one metric ------------------------------------------------------------------------------------


def _say(evidence: CohortEvidence, m: Measured, p: float, alpha: float) -> _Said:
    can_fail = 0 < needed(evidence.policy) <= m.ways
    moved = _fleet_event(m, alpha)
    bad = _cohort_fails(evidence, m, p, alpha) if can_fail else None
    if bad and (evidence.randomised or not moved):
        return bad
    if moved:
        return moved
    suspects = _suspects(evidence, m, alpha)
    worst = suspects[0] if suspects else None
    if worst and can_fail and _enough_events(evidence, m) and worst[1] <= _account_alpha(evidence, m, alpha):
        return _Said(Verdict.FAIL, worst[0])
    missing = _missing(evidence, m)
    if missing:
        return missing
    if not can_fail:
        ways = f"{m.ways} {'way' if m.ways == 1 else 'ways'} to draw it, {needed(evidence.policy)} are needed"
        doubt = f"; {worst[0]}" if worst else ""
        return _Said(Verdict.INCONCLUSIVE, f"{m.spec.name}: {_HARD_GATES} ({ways}){doubt}")
    if worst:
        return _Said(Verdict.INCONCLUSIVE, worst[0], short=True)
    return _passes(evidence, m)


def _cohort_fails(evidence: CohortEvidence, m: Measured, p: float, alpha: float) -> _Said | None:
    c = m.contrast
    if c is None or p > alpha or c.shift < m.allowed or not m.matters or not _enough_events(evidence, m):
        return None
    return _Said(
        Verdict.FAIL,
        f"{m.spec.name}: {_times(c.shift)} what the clients on the old version show, {_times(m.allowed)} is"
        f" allowed (p {p:.2g}, alpha {alpha:g})",
    )


def _fleet_event(m: Measured, alpha: float) -> _Said | None:
    if m.movement.p > alpha or m.movement.shift < m.allowed or not m.controls_matter:
        return None
    return _Said(
        Verdict.FLEET_EVENT,
        f"{m.spec.name}: the clients on the old version moved too, to {_times(m.movement.shift)} of their own"
        f" history (p {m.movement.p:.2g}); nobody is to blame, nothing goes on",
    )


def _suspects(evidence: CohortEvidence, m: Measured, alpha: float) -> list[tuple[str, float]]:
    """(sentence, p) of accounts beyond what is allowed and beyond chance at the whole of alpha, worst first."""
    floor, whole = m.spec.negligible_ppm / 1_000_000, evidence.policy.alpha_permille / 1000
    found = []
    for point, standing in zip(m.canaries, m.standings, strict=False):
        if (
            standing.p > max(alpha, whole)
            or standing.beyond < m.allowed
            or not _alone_counts(evidence, m, point.errors)
        ):
            continue
        if m.spec.kind is MetricKind.RATE and point.now <= floor:
            continue
        text = (
            f"{m.spec.name}: {point.account.client} ({point.account.account}) alone is at"
            f" {_times(standing.beyond)} of what its own history lets expect (p {standing.p:.2g})"
        )
        found.append((text, standing.p))
    return sorted(found, key=lambda pair: (pair[1], pair[0]))


def _account_alpha(evidence: CohortEvidence, m: Measured, alpha: float) -> float:
    """Bonferroni over the canary's accounts, and over the metrics that share alpha."""
    sharing = 1 if m.spec.critical else sum(not spec.critical for spec in evidence.policy.metrics)
    return alpha / len(m.canaries) / sharing


def _alone_counts(evidence: CohortEvidence, m: Measured, errors: int) -> bool:
    return m.spec.kind is MetricKind.LATENCY or errors >= evidence.policy.min_events


def _enough_events(evidence: CohortEvidence, m: Measured) -> bool:
    """To fail by: seen or expected, whichever is more."""
    return m.spec.kind is MetricKind.LATENCY or max(m.errors, m.expected) >= evidence.policy.min_events


def _missing(evidence: CohortEvidence, m: Measured) -> _Said | None:
    name = m.spec.name
    if not m.canaries:
        why = f": {m.left[0][0].client} {m.left[0][1]}" if m.left else ""
        return _Said(Verdict.NO_DATA, f"{name}: no canary account has a number{why}", short=True)
    if m.left:
        account, why = m.left[0]
        others = f", and {len(m.left) - 1} more" if len(m.left) > 1 else ""
        text = f"{name}: {account.client} ({account.account}) {why}{others}"
        return _Said(Verdict.INCONCLUSIVE, text, short=True)
    if m.few:
        fewest = min(m.few, key=lambda p: (p.requests, p.account.account))
        text = f"{name}: {fewest.account.client} served {fewest.requests} of {evidence.min_requests} requests"
        return _Said(Verdict.INCONCLUSIVE, text, short=True)
    return None


def _passes(evidence: CohortEvidence, m: Measured) -> _Said:
    name, c, policy = m.spec.name, m.contrast, evidence.policy
    if not is_final(policy, evidence.look):
        text = (
            f"{name}: nothing against it at look {evidence.look} of {policy.looks}; only the last can pass it"
        )
        return _Said(Verdict.INCONCLUSIVE, text)
    if m.negligible:
        text = f"{name}: certainly below {m.spec.negligible_ppm} errors in a million requests"
        return _Said(Verdict.PASS, text)
    if m.spec.kind is MetricKind.RATE and m.expected < policy.min_events:
        text = (
            f"{name}: {m.expected:.3g} errors were to be expected without any change, and fewer than"
            f" {policy.min_events} prove nothing"
        )
        return _Said(Verdict.INCONCLUSIVE, text, short=True)
    if c is None or not c.upper < m.allowed:
        upper = (
            "nothing can be ruled out"
            if c is None or math.isinf(c.upper)
            else f"up to {_times(c.upper)} is possible"
        )
        text = f"{name}: {upper}, and {_times(m.allowed)} is allowed"
        return _Said(Verdict.INCONCLUSIVE, text, short=c is not None and c.shift < m.allowed)
    return _Said(Verdict.PASS, f"{name}: at most {_times(c.upper)}, {_times(m.allowed)} is allowed")


def _times(shift: float) -> str:
    return f"{math.exp(shift):.3g} times"


# --- for the record --------------------------------------------------------------------------------


def _notes(evidence: CohortEvidence, measured: list[Measured], can_fail: bool) -> tuple[str, ...]:
    notes: list[str] = []
    if measured and not can_fail:
        notes.append(_HARD_GATES)
    if not evidence.randomised:
        notes.append("the cohort was not drawn by lot, so that p is only as good as the choice")
    if any(not m.stratified for m in measured):
        notes.append("strata are too small to exchange labels inside them; all clients were compared as one")
    without = sorted({p.account.client for m in measured for p in m.canaries if not p.own_history})
    if without:
        notes.append(f"no history of their own, the fleet's stands in: {', '.join(without)}")
    for m in measured:
        if m.left_controls:
            notes.append(f"{m.spec.name}: {m.left_controls} controls have no number and were left out")
    return tuple(notes)


def _metric(evidence: CohortEvidence, m: Measured, p: float, said: _Said, alpha: float) -> MetricJudgement:
    c = m.contrast
    return MetricJudgement(
        metric=m.spec.name,
        kind=m.spec.kind,
        critical=m.spec.critical,
        verdict=said.verdict,
        reason=said.reason,
        allowed=number(m.spec.allowed_percent / 100),
        alpha=number(alpha),
        canaries=len(m.canaries),
        controls=len(m.controls),
        ratio=_ratio(c.shift) if c else None,
        lower=_ratio(c.lower) if c else None,
        upper=_ratio(c.upper) if c else None,
        p=number(c.p) if c else None,
        adjusted=number(p) if c else None,
        labelings=min(m.ways, 10**15),
        drawn=c.drawn if c else 0,
        exact=c.exact if c else False,
        expected_events=number(m.expected) if m.spec.kind is MetricKind.RATE else None,
        controls_ratio=_ratio(m.movement.shift) if m.controls else None,
        controls_p=number(m.movement.p) if m.controls else None,
        accounts=_accounts(evidence, m, alpha),
    )


def _accounts(evidence: CohortEvidence, m: Measured, alpha: float) -> tuple[AccountJudgement, ...]:
    whole = evidence.policy.alpha_permille / 1000
    rows = [
        AccountJudgement(account=a.account, client=a.client, role=Role.CANARY, note=why) for a, why in m.left
    ]
    standings = dict(zip((p.account.account for p in m.canaries), m.standings, strict=False))
    for point in (*m.canaries, *m.controls):
        standing = standings.get(point.account.account)
        beyond = standing is not None and standing.p <= max(alpha, whole) and standing.beyond >= m.allowed
        rows.append(
            AccountJudgement(
                account=point.account.account,
                client=point.account.client,
                role=point.account.role,
                requests=point.requests,
                now=number(point.now),
                before=number(point.before),
                ratio=_ratio(point.y),
                beyond=_ratio(standing.beyond) if standing else None,
                limit=_ratio(standing.limit) if standing else None,
                p=number(standing.p) if standing else None,
                suspect=beyond,
                note="" if point.own_history else "no history of its own; the fleet's stands in",
            )
        )
    return tuple(rows)


def _ratio(shift: float) -> Number:
    return number(math.exp(shift) if shift < 700 else math.inf)
