"""Floor 3, engine: gathers the evidence for one look of the judge, and has it judged. Changes nothing anywhere.

What cannot be read becomes evidence as well: an account without a number, and why. Two things are not evidence and
end the run: credentials that are refused, and a call that landed in another account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from pipeline.decide.judge import judge
from pipeline.decide.judge.gathering import Asked, asked, is_randomised, merged, resolved, seed_of, windows
from pipeline.engine.world import World
from pipeline.errors import AccessRefused, AccountUnusable, AnswerLost, RequestRefused, Throttled
from pipeline.model.ids import TargetId
from pipeline.model.judgement import (
    AccountEvidence,
    CohortEvidence,
    Judged,
    Judgement,
    MetricEvidence,
    judged_to_json,
)
from pipeline.model.judging import MetricSpec
from pipeline.model.plan import Plan, PlannedTarget, plan_digest
from pipeline.model.run_state import RunState
from pipeline.model.target_state import TargetState
from pipeline.ports import MetricReading, MetricWindow, Place

__all__ = ["READERS", "weigh"]

READERS = 8
"""threads that read; every account has CloudWatch quotas of its own, so they do not slow one another down"""
_TRIES = 3
_PAUSE = timedelta(seconds=1)

Rows = tuple[tuple[MetricReading, ...], ...]
"""One row for each window, in it one reading for each spec."""


def weigh(
    world: World,
    plan: Plan,
    run: RunState,
    targets: Mapping[TargetId, TargetState],
    number: int,
    look: int,
    *,
    readers: int = READERS,
) -> tuple[Judgement, bytes]:
    """(the judgement, the document to keep: evidence and judgement as canonical JSON).

    number: the wave's place in the plan. readers: 1 reads one account after the other, in order, in this thread.
    CredentialsRefused, WrongAccount.
    """
    wave, now = plan.waves[number], world.clock.now()
    since = run.waves[number].bake_from or now
    found = windows(plan.judge, since, now)
    reader = _Reader(world, plan.judge.metrics, tuple(MetricWindow(since=a, until=b) for a, b in found))
    accounts = asked(plan, run, targets, number)
    evidence = CohortEvidence(
        release=str(plan.release),
        wave=wave.number,
        look=look,
        seed=seed_of(plan_digest(plan), wave.number, look),
        randomised=is_randomised(plan, number),
        since=found[0][0] if found else since,
        until=found[0][1] if found else since,
        policy=plan.judge,
        min_requests=wave.min_requests,
        accounts=_read_all(reader, accounts, readers) if plan.judge.metrics else (),
    )
    judgement = judge(evidence)
    return judgement, judged_to_json(Judged(evidence=evidence, judgement=judgement))


def _read_all(reader: _Reader, accounts: Sequence[Asked], readers: int) -> tuple[AccountEvidence, ...]:
    if readers <= 1:
        return tuple(map(reader.account, accounts))
    with ThreadPoolExecutor(max_workers=readers, thread_name_prefix="weigh") as pool:
        return tuple(pool.map(reader.account, accounts))


@dataclass(frozen=True, slots=True)
class _Reader:
    """windows: this bake's, then those of earlier weeks; none where the bake has no whole period yet."""

    world: World
    specs: tuple[MetricSpec, ...]
    windows: tuple[MetricWindow, ...]

    def account(self, wanted: Asked) -> AccountEvidence:
        regions = [(target.id.region, self._target(target)) for target in wanted.targets]
        metrics = []
        for place, spec in enumerate(self.specs):
            columns = [(region, [row[place] for row in rows]) for region, rows in regions]
            metrics.append(_of_regions(spec, columns))
        return AccountEvidence(
            account=wanted.account,
            client=wanted.client,
            role=wanted.role,
            stratum=wanted.stratum,
            metrics=tuple(metrics),
        )

    def _target(self, target: PlannedTarget) -> Rows:
        """Throttles and lost answers are tried again, for reading changes nothing."""
        if not self.windows:
            return self._all_unread("the bake has no whole five minutes yet that CloudWatch could tell of")
        place = Place(target.account, target.id.region)
        for attempt in range(1, _TRIES + 1):
            try:
                return self._rows(place, target.stack)
            except (Throttled, AnswerLost) as fault:
                if attempt == _TRIES:
                    return self._all_unread(fault.problem)
                self.world.clock.sleep(_PAUSE * attempt)
            except (AccessRefused, AccountUnusable, RequestRefused) as fault:
                return self._all_unread(fault.problem)
        return ()

    def _rows(self, place: Place, stack: str) -> Rows:
        outputs = self._outputs(place, stack)
        filled: list[MetricSpec] = []
        why: dict[str, str] = {}
        for spec in self.specs:
            try:
                filled.append(resolved(spec, stack, outputs))
            except ValueError as fault:
                why[spec.name] = str(fault)
        rows = self.world.metrics.read(place, filled, self.windows) if filled else ()
        names = [spec.name for spec in filled]
        found = [dict(zip(names, row, strict=True)) for row in rows] or [{} for _ in self.windows]
        return tuple(
            tuple(row.get(s.name) or MetricReading(sample=None, unread=why[s.name]) for s in self.specs)
            for row in found
        )

    def _outputs(self, place: Place, stack: str) -> Mapping[str, str]:
        if not any("{output:" in value for spec in self.specs for _, value in spec.dimensions):
            return {}
        snapshot = self.world.stacks.describe(place, stack)
        return dict(snapshot.outputs) if snapshot is not None else {}

    def _all_unread(self, why: str) -> Rows:
        reading = MetricReading(sample=None, unread=why)
        return tuple(tuple(reading for _ in self.specs) for _ in (self.windows or (None,)))


def _of_regions(spec: MetricSpec, columns: Sequence[tuple[str, Sequence[MetricReading]]]) -> MetricEvidence:
    """The first row is now, and counts only where every Region was read; so does each week of the history."""
    for region, readings in columns:
        if readings[0].sample is None:
            where = f"{region}: " if len(columns) > 1 else ""
            return MetricEvidence(metric=spec.name, now=None, unread=f"{where}{readings[0].unread}")
    weeks = []
    for row in zip(*(readings for _, readings in columns), strict=True):
        samples = [reading.sample for reading in row if reading.sample is not None]
        whole = merged(spec, samples) if len(samples) == len(row) else None
        weeks.append(whole)
    return MetricEvidence(
        metric=spec.name, now=weeks[0], history=tuple(week for week in weeks[1:] if week is not None)
    )
