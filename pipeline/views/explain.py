"""Floor 2, views: the numbers behind every verdict, as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pipeline.model.canonical import Json
from pipeline.model.codec import to_json
from pipeline.model.explanation import Explanation, Look, Remark
from pipeline.model.judgement import (
    AccountJudgement,
    CohortEvidence,
    Judged,
    Judgement,
    MetricJudgement,
    Number,
    Role,
)
from pipeline.model.plan import Plan, plan_digest
from pipeline.views.sentences import sentence
from pipeline.views.text import count, cut, moment, plain, short, table

__all__ = ["EXPLAIN_FORMAT", "explain_json", "explain_text"]

EXPLAIN_FORMAT = 1
_MOST = 12
"""accounts shown of one metric; JSON has them all"""
_ROW = 110


def explain_text(explanation: Explanation) -> str:
    """Each look with its numbers, then gates, refusals and halts in the order of the journal."""
    head = f"{explanation.release}, plan {short(plan_digest(explanation.plan))}"
    blocks = [[head], *(list(_look(explanation.plan, look)) for look in explanation.looks)]
    if not explanation.looks:
        blocks.append(["the judge has not looked at anything here: alarms and health checks decided alone"])
    if explanation.remarks:
        blocks.append(
            ["gates, refusals and halts:", *(_remark(explanation.plan, r) for r in explanation.remarks)]
        )
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _remark(plan: Plan, remark: Remark) -> str:
    kind, _, name = remark.entry.stream.partition("/")
    subject = f"{plain(name.partition('/')[2])} " if kind == "target" else ""
    wave = "" if remark.wave is None else _wave(plan, remark.wave)
    told = sentence(remark.entry.event, plan)
    where = "" if told.startswith(wave) else f"{wave}: "
    return f"  {moment(remark.entry.at)}  {where}{subject}{told}  ({plain(remark.entry.actor)})"


def _wave(plan: Plan, place: int) -> str:
    return plan.waves[place].name if 0 <= place < len(plan.waves) else f"wave {place}"


def _number(plan: Plan, place: int | None) -> int | None:
    """What people call the wave at this place of the plan."""
    return plan.waves[place].number if place is not None and 0 <= place < len(plan.waves) else place


# --- one look --------------------------------------------------------------------------------------


def _look(plan: Plan, look: Look) -> Iterator[str]:
    planned = look.judged.evidence.policy.looks if look.judged else 0
    looks = "" if not planned else f" of {planned}" if look.said.look <= planned else ", of the extended bake"
    at = f"look {look.said.look}{looks}, {moment(look.entry.at)}"
    yield f"{_wave(plan, look.said.wave)}, {at}: {look.said.verdict.value}"
    yield f"  {plain(look.said.reason)}"
    yield f"  evidence {look.said.evidence}"
    if look.judged is None:
        yield f"  its numbers cannot be shown: {plain(look.unread)}"
    else:
        yield from _cohort(look.judged)
        for metric in look.judged.judgement.metrics:
            yield from _metric(metric)
    if look.same:
        yield "  judged again: the same"
    elif look.differences is not None:
        yield "  judged again: NOT the same"
        yield from (f"    {plain(difference)}" for difference in look.differences[:_MOST])


def _cohort(judged: Judged) -> Iterator[str]:
    evidence, judgement = judged.evidence, judged.judgement
    sides = [sum(a.role is role for a in evidence.accounts) for role in (Role.CANARY, Role.CONTROL)]
    yield (
        f"  {moment(evidence.since)} to {moment(evidence.until)}: {sides[0]} on the new version,"
        f" {sides[1]} on the old one; {_drawing(evidence, judgement)}"
    )
    yield from (f"  note: {plain(note)}" for note in judgement.notes)


def _drawing(evidence: CohortEvidence, judgement: Judgement) -> str:
    drawn = "drawn by lot" if evidence.randomised else "not drawn by lot"
    strata = "compared inside strata" if judgement.stratified else "compared as one group"
    return f"{drawn}, {strata}, seed {evidence.seed}, judge version {judgement.version}"


def _metric(metric: MetricJudgement) -> Iterator[str]:
    critical = "critical" if metric.critical else "shares alpha with others"
    yield ""
    yield f"  {plain(metric.metric)} ({metric.kind.value}, {critical}): {metric.verdict.value}"
    yield f"    {plain(metric.reason)}"
    if metric.ratio is not None:
        drawn = "all of them tried" if metric.exact else f"{metric.drawn} of them tried"
        yield (
            f"    ratio {metric.ratio}, from {metric.lower} to {metric.upper}, allowed {metric.allowed};"
            f" p {metric.p}{_holm(metric)}, alpha {metric.alpha}"
        )
        yield f"    {count(metric.labelings, 'way')} to draw the canary, {drawn}"
    if metric.controls_ratio is not None:
        yield f"    the old version moved to {metric.controls_ratio} of its own history (p {metric.controls_p})"
    if metric.expected_events is not None:
        yield f"    {metric.expected_events} errors were to be expected without any change"
    yield from _accounts(metric.accounts)


def _holm(metric: MetricJudgement) -> str:
    return "" if metric.adjusted == metric.p else f" ({metric.adjusted} after Holm)"


def _accounts(accounts: tuple[AccountJudgement, ...]) -> Iterator[str]:
    """Canaries first, suspects before others; of the controls as many as there is room for."""
    ordered = sorted(accounts, key=lambda a: (a.role is Role.CONTROL, not a.suspect, a.client, a.account))
    if not ordered:
        return
    head = ("client", "account", "", "requests", "now", "before", "ratio", "beyond", "limit", "p", "")
    rows = [
        (
            plain(a.client),
            a.account,
            a.role.value,
            str(a.requests),
            *(_text(value) for value in (a.now, a.before, a.ratio, a.beyond, a.limit, a.p)),
            "SUSPECT" if a.suspect else plain(a.note),
        )
        for a in ordered[:_MOST]
    ]
    yield from (cut(f"  {line}", _ROW) for line in table(head, rows, right=frozenset(range(3, 10))))
    if len(ordered) > _MOST:
        yield f"    … and {len(ordered) - _MOST} more: --json shows them all"


def _text(value: Number | None) -> str:
    return "-" if value is None else f"{float(value):.4g}"


# --- JSON ------------------------------------------------------------------------------------------


def explain_json(explanation: Explanation) -> Json:
    """Numbers that are no counts are texts, as in the kept document: `"0.00168"`."""
    plan = explanation.plan
    return {
        "format_version": EXPLAIN_FORMAT,
        "release": str(explanation.release),
        "plan": plan_digest(plan),
        "same": None
        if any(look.same is None for look in explanation.looks)
        else all(look.same for look in explanation.looks),
        "looks": [_look_json(plan, look) for look in explanation.looks],
        "events": [
            {
                "at": to_json(r.entry.at),
                "actor": r.entry.actor,
                "wave": _number(plan, r.wave),
                "stream": r.entry.stream,
                "seq": r.entry.seq,
                "type": type(r.entry.event).__name__,
                "text": sentence(r.entry.event, plan),
                "event": to_json(r.entry.event),
            }
            for r in explanation.remarks
        ],
    }


def _look_json(plan: Plan, look: Look) -> Json:
    said = look.said
    return {
        "at": to_json(look.entry.at),
        "wave": _number(plan, said.wave),
        "look": said.look,
        "verdict": said.verdict.value,
        "reason": plain(said.reason),
        "evidence_digest": said.evidence,
        "unread": look.unread or None,
        "window_seconds": (look.judged.evidence.until - look.judged.evidence.since) // timedelta(seconds=1)
        if look.judged
        else None,
        "evidence": to_json(look.judged.evidence) if look.judged else None,
        "judgement": to_json(look.judged.judgement) if look.judged else None,
        "same": look.same,
        "differences": None if look.differences is None else list(look.differences),
    }
