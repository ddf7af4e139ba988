"""Stories with everything that is needed to go on from any point of them: how they are kept, and how they are read.

One file for each story, JSON lines in the order in which it happened: what was built, plans, commands as they were
typed, every entry of the journal, every call that changed the cloud. A line `cut` says what everything before it
folds to; the line `end` how the story has to end, from wherever it is taken up again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.model import event as e
from pipeline.model.canonical import canonical
from pipeline.model.codec import to_json
from pipeline.model.run_state import fold_run
from pipeline.model.target_state import fold_target

__all__ = ["FOLDER", "Kept", "entry_from_json", "entry_to_json", "folded", "read_kept", "stories_kept"]

FOLDER = Path(__file__).parent / "journals"
Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """lines: all of them. cuts: the positions in `lines` of those that say `cut`."""

    name: str
    lines: tuple[Line, ...]

    @property
    def cuts(self) -> tuple[int, ...]:
        return tuple(n for n, line in enumerate(self.lines) if line["kind"] == "cut")

    def of_kind(self, kind: str, until: int | None = None) -> Iterator[Line]:
        return (line for line in self.lines[:until] if line["kind"] == kind)

    @property
    def end(self) -> Line:
        return self.lines[-1]


def stories_kept() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.jsonl")))


def read_kept(name: str) -> Kept:
    text = (FOLDER / f"{name}.jsonl").read_text(encoding="ascii")
    return Kept(name, tuple(json.loads(line) for line in text.splitlines()))


def entry_to_json(entry: e.Envelope) -> Line:
    return {
        "stream": entry.stream,
        "seq": entry.seq,
        "at": to_json(entry.at),
        "actor": entry.actor,
        "fence": entry.fence,
        "event": e.event_to_json(entry.event),
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }


def entry_from_json(line: Mapping[str, Any]) -> e.Envelope:
    return e.Envelope(
        stream=line["stream"],
        seq=line["seq"],
        at=datetime.fromisoformat(line["at"]),
        actor=line["actor"],
        fence=line["fence"],
        event=e.event_from_json(canonical(line["event"])),
        previous_hash=line["previous_hash"],
        hash=line["hash"],
    )


def folded(streams: Mapping[str, list[e.Envelope]]) -> Line:
    """What the streams fold to, in words that every later version has to come to as well."""
    told: Line = {}
    for stream, entries in sorted(streams.items()):
        told[stream] = _of_run(entries) if stream.startswith("release/") else _of_target(entries)
    return told


def _of_run(entries: list[e.Envelope]) -> Line:
    run = fold_run(entries)
    return {
        "run": run.run.value,
        "plan": run.plan,
        "waves": [
            {
                "status": wave.status.value,
                "claimed": sorted(map(str, wave.claimed)),
                "bake_until": to_json(wave.bake_until),
                "at_risk": wave.at_risk,
            }
            for wave in run.waves
        ],
        "halted_because": run.halted_because,
        "forgiven": sorted(map(str, run.forgiven)),
        "order": None if run.rollback is None else list(run.rollback.waves),
    }


def _of_target(entries: list[e.Envelope]) -> Line:
    state = fold_target(entries)
    action = state.action
    return {
        "phase": state.phase.value,
        "release": state.release,
        "observed": state.observed,
        "previous_good": None if state.previous_good is None else state.previous_good.release,
        "goods": [good.release for good in state.goods],
        "changed": state.changed,
        "reason": state.reason,
        "action": None
        if action is None
        else {"direction": action.direction.value, "step": action.step.value, "id": action.id},
    }
