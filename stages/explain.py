"""Floor 3, the stage that explains: what was decided in a run, by which numbers, and whether they still say so.

It reads the journal and the kept evidence, and judges again where that is asked. It never asks an account anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.decide.judge import differences, judge
from pipeline.errors import ArtifactDamaged, ArtifactMissing, ReleaseError
from pipeline.model import event as e
from pipeline.model.explanation import Explanation, Look, Remark
from pipeline.model.ids import Digest, TargetId
from pipeline.model.judgement import Judged, judged_from_json
from pipeline.model.plan import Plan, plan_digest
from pipeline.ports import Journal

__all__ = ["ExplainRequest", "explain"]

_OF_WAVES = (
    e.WaveGated,
    e.TargetsDeferred,
    e.WaveBaking,
    e.BakeExtended,
    e.WaveInconclusive,
    e.WaveDecided,
    e.WavePassed,
    e.WaveFailed,
    e.WaveRolledBack,
)
_OF_RUNS = (
    e.PreflightDone,
    e.RunHalted,
    e.RunPaused,
    e.RunResumed,
    e.RetryOrdered,
    e.LaneAsked,
    e.ApprovalGiven,
    e.RollbackOrdered,
    e.RunEnded,
)
_OF_TARGETS = (
    e.AlarmsBefore,
    e.TargetFailed,
    e.TargetUnknown,
    e.TargetSkipped,
    e.TargetJudged,
    e.TargetQuarantined,
    e.RollbackFailed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest:
    """wave: only this one, by its place in the plan. replay: judge again from the kept evidence."""

    plan: Plan
    wave: int | None = None
    replay: bool = False


def explain(request: ExplainRequest, journal: Journal, read: Callable[[Digest], bytes]) -> Explanation:
    """read: the kept document of that digest, verified. What it raises is told, and hides nothing else."""
    plan = request.plan
    looks: list[Look] = []
    remarks: list[Remark] = []
    wave: int | None = None
    for entry in _of_this_run(journal.read(e.release_stream(plan.release)), plan_digest(plan)):
        event = entry.event
        wave = getattr(event, "wave", wave)
        if isinstance(event, e.WaveJudged):
            looks.append(_look(entry, event, read, replay=request.replay))
        elif isinstance(event, (*_OF_WAVES, *_OF_RUNS)):
            remarks.append(Remark(entry=entry, wave=wave))
    remarks += [remark for target in plan.targets for remark in _of_target(journal, plan, target.id)]
    remarks.sort(key=lambda r: (r.entry.at, r.entry.stream, r.entry.seq))
    return Explanation(
        release=plan.release,
        plan=plan,
        looks=tuple(look for look in looks if request.wave in (None, look.said.wave)),
        remarks=tuple(remark for remark in remarks if request.wave in (None, remark.wave)),
    )


def _of_this_run(entries: Sequence[e.Envelope], plan: Digest) -> Sequence[e.Envelope]:
    """From the last time this plan was fixed."""
    begun = [
        n
        for n, entry in enumerate(entries)
        if isinstance(entry.event, e.PlanFixed) and entry.event.plan == plan
    ]
    return entries[begun[-1] :] if begun else ()


def _of_target(journal: Journal, plan: Plan, target: TargetId) -> Iterable[Remark]:
    """What passed needs no remark; a wave's own entries say so."""
    digest = plan_digest(plan)
    wave: int | None = None
    for entry in journal.read(e.target_stream(plan.release.service, target)):
        event = entry.event
        if isinstance(event, e.TargetClaimed):
            wave = event.wave if event.plan == digest else None
        passed = isinstance(event, e.TargetJudged) and event.verdict is e.Verdict.PASS
        if wave is not None and isinstance(event, _OF_TARGETS) and not passed:
            yield Remark(entry=entry, wave=wave)


def _look(entry: e.Envelope, said: e.WaveJudged, read: Callable[[Digest], bytes], *, replay: bool) -> Look:
    try:
        judged = judged_from_json(read(said.evidence))
    except (ArtifactMissing, ArtifactDamaged) as fault:
        lost = (f"the evidence {said.evidence} cannot be had: {fault.problem}",) if replay else None
        return Look(entry=entry, said=said, unread=fault.problem, differences=lost)
    except ReleaseError as fault:
        if replay:
            raise
        return Look(entry=entry, said=said, unread=fault.problem)
    except ValueError as fault:
        broken = f"the evidence is no document of this kind: {fault}"
        return Look(entry=entry, said=said, unread=broken, differences=(broken,) if replay else None)
    return Look(
        entry=entry,
        said=said,
        judged=judged,
        differences=_replayed(said, judged) if replay else None,
    )


def _replayed(said: e.WaveJudged, judged: Judged) -> tuple[str, ...]:
    kept = judged.judgement
    found = list(differences(kept, judge(judged.evidence)))
    if (said.verdict, said.reason, said.look) != (kept.verdict, kept.reason, kept.look):
        found.append(
            f"the journal says {said.verdict.value} ({said.reason}), its evidence {kept.verdict.value}"
        )
    return tuple(found)
