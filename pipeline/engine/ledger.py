"""Floor 3, engine: the folded state of one run, kept beside the journal it came from. No AWS, no decisions.

Every append goes through here: it is conditional on what has been folded, so this process can never write on top
of something it has not read.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime

from pipeline.engine.world import Runner
from pipeline.errors import FenceLost, StreamMoved
from pipeline.model import event as e
from pipeline.model.ids import Digest, TargetId
from pipeline.model.plan import Plan
from pipeline.model.run_state import RunState, evolve_run, fold_run
from pipeline.model.target_state import IN_FLIGHT, Phase, TargetState, evolve_target, fold_target
from pipeline.ports import Journal

__all__ = ["Ledger", "view_of_run"]


def view_of_run(state: TargetState, plan: Digest) -> TargetState:
    """A target as a run sees it: PENDING where its stream last spoke of another run."""
    return state if state.plan == plan else state.between_runs()


class Ledger:
    """The release's stream and one stream per target of the plan.

    A target's stream is written by one tick at a time and the release's stream by the loop alone, so a lock is
    needed only around the shared dictionaries.
    """

    def __init__(self, journal: Journal, plan: Plan, digest: Digest, runner: Runner) -> None:
        self._journal = journal
        self._plan = plan
        self._digest = digest
        self._runner = runner
        self._lock = threading.Lock()
        self._release_stream = e.release_stream(plan.release)
        entries = journal.read(self._release_stream)
        self._run = fold_run(entries)
        self._run_seq = len(entries)
        self._latest = entries[-1].at if entries else None
        self._targets: dict[TargetId, TargetState] = {}
        self._views: dict[TargetId, TargetState] = {}
        self._seqs: dict[TargetId, int] = {}
        for target in plan.targets:
            self._load(target.id)

    @property
    def run(self) -> RunState:
        return self._run

    def now(self, clock: datetime) -> datetime:
        """This machine's time, or the newest entry's: a clock that is put back shortens no wait that the journal's
        own times measure."""
        with self._lock:
            return clock if self._latest is None else max(clock, self._latest)

    def targets(self) -> Mapping[TargetId, TargetState]:
        """Every target of the plan, as this run sees it."""
        with self._lock:
            return dict(self._views)

    def target(self, target: TargetId) -> TargetState:
        with self._lock:
            return self._views[target]

    def take_over(self) -> tuple[TargetId, ...]:
        """Raise the fence of every target that an earlier holder has in flight, before anything is done there."""
        taken = []
        for target, state in self.targets().items():
            head = self._journal.head(self._stream(target))
            if state.phase in IN_FLIGHT and head.fence < self._runner.fence:
                self.say(target, (e.TargetTakenOver(),))
                taken.append(target)
        return tuple(taken)

    def record(self, events: Sequence[e.ReleaseEvent]) -> None:
        """Append to the release's stream. StreamMoved: somebody appended first (a person's halt, a rollback)."""
        try:
            entries = self._journal.append(
                self._release_stream,
                events,
                expected=self._run_seq,
                fence=self._runner.fence,
                actor=self._runner.actor,
            )
        except StreamMoved:
            self.refresh()
            raise
        self._fold_run(entries)

    def refresh(self) -> None:
        """Read what others have appended to the release's stream."""
        if self._journal.head(self._release_stream).seq == self._run_seq:
            return
        entries = self._journal.read(self._release_stream)
        self._run, self._run_seq = fold_run(entries), len(entries)
        self._heard_at(entries)

    def heads(self) -> tuple[e.SignedHead, ...]:
        """Where the release's stream and those of the plan's targets stand, by name."""
        streams = [self._release_stream, *(self._stream(target.id) for target in self._plan.targets)]
        heads = [(stream, self._journal.head(stream)) for stream in sorted(streams)]
        return tuple(e.SignedHead(stream=s, seq=head.seq, hash=head.hash) for s, head in heads if head.seq)

    def say(self, target: TargetId, events: Sequence[e.TargetEvent]) -> TargetState:
        """Append to a target's stream and return its new state. FenceLost when this runner has been outdated."""
        with self._lock:
            expected = self._seqs[target]
        try:
            entries = self._journal.append(
                self._stream(target),
                events,
                expected=expected,
                fence=self._runner.fence,
                actor=self._runner.actor,
            )
        except StreamMoved as moved:
            raise FenceLost(
                f"another runner wrote to {target} in between",
                state=moved.state,
                remedy=f"run `release status {self._plan.release}`",
            ) from moved
        with self._lock:
            state = self._targets[target]
            for entry in entries:
                state = evolve_target(state, entry)
            self._targets[target] = state
            self._views[target] = view_of_run(state, self._digest)
            self._seqs[target] = entries[-1].seq
        self._heard_at(entries)
        for entry in entries:
            self._runner.heard(entry)
        return self.target(target)

    def never_begun(self, target: TargetId) -> bool:
        return self.target(target).phase is Phase.PENDING

    def _fold_run(self, entries: Sequence[e.Envelope]) -> None:
        for entry in entries:
            self._run = evolve_run(self._run, entry)
            self._run_seq = entry.seq
            self._runner.heard(entry)
        self._heard_at(entries)

    def _heard_at(self, entries: Sequence[e.Envelope]) -> None:
        if not entries:
            return
        with self._lock:
            newest = entries[-1].at
            self._latest = newest if self._latest is None else max(newest, self._latest)

    def _load(self, target: TargetId) -> None:
        entries = self._journal.read(self._stream(target))
        self._targets[target] = fold_target(entries)
        self._views[target] = view_of_run(self._targets[target], self._digest)
        self._seqs[target] = len(entries)
        self._heard_at(entries)

    def _stream(self, target: TargetId) -> str:
        return e.target_stream(self._plan.release.service, target)
