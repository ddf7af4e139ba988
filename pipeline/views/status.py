"""Floor 2, views: `release status`, as JSON with the keys others rely on and as one page of text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pipeline.model.canonical import Json
from pipeline.model.codec import to_json
from pipeline.model.ids import ReleaseName, TargetId
from pipeline.model.plan import Plan
from pipeline.model.release_event import ApprovalGiven
from pipeline.model.run_state import ENDED, RunState, WaveStatus
from pipeline.model.target_state import Phase, TargetState
from pipeline.views.progress import Progress, TargetRow, WaveRow, progress
from pipeline.views.text import WIDTH, cut, moment, plain, short, span, table

__all__ = ["STATUS_FORMAT", "status_json", "status_text"]

STATUS_FORMAT = 1
_MOST = 10
"""More failing or skipped targets than this would push the next command off the screen."""


def status_json(
    release: ReleaseName,
    plan: Plan | None,
    run: RunState,
    targets: Mapping[TargetId, TargetState],
    now: datetime,
) -> Json:
    """Keys only ever grow. What is not there is null, never an empty string."""
    page = progress(release, plan, run, targets, now)
    return {
        "format_version": STATUS_FORMAT,
        "run": {
            "state": run.run.value,
            "release": str(release),
            "digest": run.digest,
            "plan": run.plan,
            "halted_because": plain(run.halted_because) or None,
            "halted_by": plain(run.halted_by) or None,
            "halted_in": page.halted_in or None,
            "paused_because": plain(run.paused_because) or None,
            "paused_by": plain(run.paused_by) or None,
            "waiting_until": to_json(run.waiting_until),
            "starter": plain(run.starter) or None,
            "lane_asked": run.lane_asked.lane.value if run.lane_asked else None,
            "approvals": [
                {
                    "subject": approval.given.subject,
                    "by": plain(approval.given.by),
                    "at": to_json(approval.at),
                    "expires": to_json(approval.given.expires),
                }
                for approval in run.approvals
            ],
            "follow_up_until": to_json(run.follow_up_until),
            "tested": run.evidence is not None,
            "changed_at": to_json(run.changed_at),
            "next": list(page.next),
        },
        "waves": [_wave_json(wave) for wave in page.waves],
        "targets": [_target_json(target) for target in page.targets],
    }


def _wave_json(wave: WaveRow) -> Json:
    return {
        "number": wave.number,
        "name": wave.name,
        "state": wave.state,
        "bake_until": to_json(wave.bake_until),
        "opens_at": to_json(wave.opens_at),
        "at_risk": wave.at_risk,
        "reason": wave.reason or None,
        "counts": {
            "targets": wave.targets,
            "healthy": wave.healthy,
            "in_flight": wave.in_flight,
            "failed": wave.failed,
            "rolled_back": wave.rolled_back,
            "pending": wave.pending,
            "skipped": wave.skipped,
        },
    }


def _target_json(row: TargetRow) -> Json:
    return {
        "client": row.client,
        "account": row.account or None,
        "region": row.id.region,
        "wave": row.wave or None,
        "state": row.state,
        "desired": row.desired or None,
        "observed": row.observed or None,
        "previous_good": row.previous_good or None,
        "reason": row.reason or None,
        "command": row.command or None,
        "owed": list(row.owed),
    }


def status_text(
    release: ReleaseName,
    plan: Plan | None,
    run: RunState,
    targets: Mapping[TargetId, TargetState],
    now: datetime,
) -> str:
    """One screen, ending with the next command."""
    page = progress(release, plan, run, targets, now)
    blocks = [
        _header(page, now),
        _waves(page, now),
        _failing(page),
        _skipped(page),
        _owed(page),
        ["\n  or: ".join(["next: " + page.next[0], *page.next[1:]])],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _header(page: Progress, now: datetime) -> list[str]:
    run = page.run
    lines = [f"{page.release}  {run.run.value}" + (f" in {page.halted_in}" if page.halted_in else "")]
    if run.halted_because:
        lines.append(f"  because: {cut(plain(run.halted_because), WIDTH - 11)}")
        lines.append(f"  halted by: {cut(plain(run.halted_by), WIDTH - 13)}")
    if run.paused_because and run.run not in ENDED:
        until = f" until {moment(run.waiting_until)}, then halted" if run.waiting_until else ""
        lines.append(f"  waiting: {cut(plain(run.paused_because), WIDTH - 11)}")
        lines.append(f"  paused by: {cut(plain(run.paused_by), WIDTH - 43)}{until}")
    if run.lane_asked is not None:
        asked = f"{run.lane_asked.lane.value}, asked by {plain(run.lane_asked_by)}: {plain(run.lane_asked.reason)}"
        lines.append(f"  hurry: {cut(asked, WIDTH - 9)}")
    lines += [cut(f"  {_approved(a.given, now)}", WIDTH) for a in run.approvals]
    if run.follow_up_until is not None and run.run not in ENDED:
        lines.append(f"  last look at what was hurried: {moment(run.follow_up_until)}")
    if run.rollback is not None:
        lines.append(
            f"  rollback: {cut(plain(run.rollback.reason), 60)} (ordered by {cut(plain(run.rollback.by), 20)})"
        )
    lines.append(f"  tested: {_tested(run)}")
    if run.plan:
        lines.append(f"  plan: {short(run.plan)}")
    if run.changed_at:
        lines.append(f"  last change: {moment(run.changed_at)}, {span(now - run.changed_at)} ago")
    return lines


def _approved(given: ApprovalGiven, now: datetime) -> str:
    what = f"{given.subject} by {plain(given.by)}"
    if given.expires <= now:
        return f"approval expired: {what}, at {moment(given.expires)}"
    return f"approved: {what} until {moment(given.expires)}"


def _tested(run: RunState) -> str:
    proof = run.evidence
    if proof is None:
        return "no"
    return f"{proof.passed} passed, {proof.failed} failed, {proof.skipped} skipped in {len(proof.accounts)} accounts"


def _waves(page: Progress, now: datetime) -> list[str]:
    if not page.waves:
        return []
    head = ("wave", "state", "targets", "healthy", "in flight", "failed", "back", "pending", "skipped", "")
    rows = []
    for wave in page.waves:
        counts = (wave.healthy, wave.in_flight, wave.failed, wave.rolled_back, wave.pending, wave.skipped)
        cells = (str(number) if number else "·" for number in counts)
        rows.append((wave.name, wave.state, str(wave.targets), *cells, _note(wave, now)))
    return [cut(line, WIDTH) for line in table(head, rows, right=frozenset(range(2, 9)))]


def _note(wave: WaveRow, now: datetime) -> str:
    if wave.bake_until is not None:
        return f"{span(wave.bake_until - now)} left" if wave.bake_until > now else "baked"
    if wave.opens_at is not None:
        return f"opens in {span(wave.opens_at - now)}" if wave.opens_at > now else "open"
    if wave.state in (WaveStatus.GATED, WaveStatus.INCONCLUSIVE):
        return "a person decides"
    return "AT RISK" if wave.at_risk else ""


def _failing(page: Progress) -> list[str]:
    failing = [row for row in page.targets if row.failed]
    if not failing:
        return []
    lines = ["failing targets"]
    width = max(len(str(row.id)) for row in failing[:_MOST])
    for row in failing[:_MOST]:
        text = f"  {row.id!s:<{width}}  {row.state}"
        lines.append(cut(f"{text}  {row.reason}", WIDTH))
        if row.command:
            lines.append(f"  {'':<{width}}  repair: {row.command}")
    if len(failing) > _MOST:
        lines.append(f"  … and {len(failing) - _MOST} more: release status {page.release} --json")
    return lines


def _skipped(page: Progress) -> list[str]:
    skipped = [row for row in page.targets if row.state == Phase.SKIPPED]
    lines = [cut(f"  {row.id}  {row.reason}", WIDTH) for row in skipped[:_MOST]]
    if len(skipped) > _MOST:
        lines.append(f"  … and {len(skipped) - _MOST} more")
    return ["skipped targets", *lines] if lines else []


def _owed(page: Progress) -> list[str]:
    owed = [f"  {row.id}  {text}" for row in page.targets for text in row.owed]
    if not owed:
        return []
    more = (
        [f"  … and {len(owed) - _MOST} more: release status {page.release} --json"]
        if len(owed) > _MOST
        else []
    )
    return ["to look at", *[cut(line, WIDTH) for line in owed[:_MOST]], *more]
