"""`python -m tests.replay.write`: tells every story once and keeps it under `journals/`.

Run it once for a version that is released, never to make a failing replay pass: the point of the kept journals is
that they are old. `--missing` writes only stories that are not kept yet.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.adapters.simulated.cloud import Break
from pipeline.model import event as e
from pipeline.model.codec import sparse_json, to_json
from pipeline.model.ending import Ending
from pipeline.model.plan import Plan
from pipeline.model.run_state import RunState
from pipeline.ports import ChangeSetRequest
from stages.rollback import RollbackScope
from tests.faults.stage import Stage
from tests.faults.stories import STORIES, Story
from tests.replay.kept import FOLDER, Line, entry_to_json, folded
from tests.simulation import a_fleet

CUTS = 5
FEW = 6
"""Clients: the journals stay small."""


class Written(Stage):
    """A stage that keeps what happens on it."""

    def __init__(self, tmp: Path, story: Story) -> None:
        self.lines: list[Line] = []
        self.deep = 0
        clients = min(FEW, len(story.fleet.clients))
        super().__init__(tmp, fleet=a_fleet(clients), policy=story.policy)
        self.lines.append(
            {"kind": "scene", "story": story.name, "clients": clients, "policy": to_json(story.policy)}
        )
        self._watch_calls()
        breaks = self.cloud.breaks

        def kept_breaks(broken: Break) -> None:
            self.lines.append(_of_break(broken))
            breaks(broken)

        self.cloud.breaks = kept_breaks  # type: ignore[method-assign]

    def _watch_calls(self) -> None:
        watched, changing = self.cloud.watch, self.wire.on_change
        asked: dict[str, ChangeSetRequest] = {}

        def on_change(actor: str, label: str, args: tuple[Any, ...]) -> None:
            if label == "stacks.create_change_set":
                asked[args[1].name] = args[1]
            changing(actor, label, args)

        def watch(call: Any) -> None:
            if call.applied:
                self.lines.append(_of_call(call, asked.get(call.change_set)))
            watched(call)

        self.wire.on_change = on_change
        self.cloud.watch = watch

    def build(self, version: str) -> Any:
        self.lines.append({"kind": "build", "version": version})
        return super().build(version)

    def plan(self, version: str) -> Plan:
        before = len(self.lines)
        plan = super().plan(version)
        del self.lines[before:]  # what planning tried out left no trace
        self.lines.append({"kind": "plan", "version": version, "plan": sparse_json(plan)})
        return plan

    def heard(self, entry: e.Envelope) -> None:
        self.lines.append({"kind": "entry", **entry_to_json(entry)})
        super().heard(entry)

    def pull(self, release: Any) -> None:
        last = self.entries[-1]
        event = type(last.event).__name__
        self.lines.append({"kind": "halt", "release": str(release), "stream": last.stream, "event": event})
        super().pull(release)

    def promote(self, plan: Plan, **how: Any) -> Ending:
        return self._typed({"verb": "promote"}, plan, lambda: super(Written, self).promote(plan, **how))

    def rollback(self, plan: Plan, scope: RollbackScope, reason: str = "because") -> Ending:
        said = {"verb": "rollback", "wave": scope.wave, "all": scope.all}
        return self._typed(said, plan, lambda: super(Written, self).rollback(plan, scope, reason))

    def resume(self, plan: Plan, reason: str = "looked at it") -> RunState:
        line = {
            "kind": "command",
            "verb": "resume",
            "release": str(plan.release),
            "at": to_json(self.clock.now()),
        }
        self.lines.append(line)
        return super().resume(plan, reason)

    def _typed(self, said: Line, plan: Plan, command: Callable[[], Ending]) -> Ending:
        line = {"kind": "command", **said, "release": str(plan.release), "at": to_json(self.clock.now())}
        self.lines.append(line)
        ending = command()
        line["ending"] = ending.kind.value
        return ending


def _of_break(broken: Break) -> Line:
    return {
        "kind": "break",
        "template": broken.template,
        "how": broken.how,
        "account": broken.account,
        "after": to_json(broken.after),
    }


def _of_call(call: Any, asked: ChangeSetRequest | None) -> Line:
    line: Line = {
        "kind": "call",
        "call": call.call,
        "at": to_json(call.at),
        "account": call.place.account,
        "region": call.place.region,
        "stack": call.stack,
        "change_set": call.change_set,
        "token": call.token,
    }
    if call.call == "create_change_set" and asked is not None:
        line |= {
            "template": asked.template,
            "creating": asked.creating,
            "parameters": [list(pair) for pair in asked.parameters],
        }
    return line


def _cut(lines: list[Line]) -> list[Line]:
    """The story with its cuts in it: spread evenly over the entries since the last release was planned."""
    planned = max(n for n, line in enumerate(lines) if line["kind"] == "plan")
    entries = [n for n, line in enumerate(lines) if line["kind"] == "entry" and n > planned]
    places = {entries[(number + 1) * len(entries) // (CUTS + 1)] for number in range(CUTS)}
    cut: list[Line] = []
    streams: dict[str, list[e.Envelope]] = {}
    from tests.replay.kept import entry_from_json

    for number, line in enumerate(lines):
        cut.append(line)
        if line["kind"] == "entry":
            streams.setdefault(line["stream"], []).append(entry_from_json(line))
        if number in places:
            cut.append({"kind": "cut", "folded": folded(streams)})
    return cut


def write(story: Story) -> Path:
    with TemporaryDirectory() as folder:
        stage = Written(Path(folder), story)
        story.prepare(stage)
        stage.play(story.tell)
    end: Line = {"kind": "end", "runs": stage.runs()}
    lines = [*_cut(stage.lines), end]
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{story.name.replace(' ', '-')}.jsonl"
    text = "\n".join(json.dumps(line, sort_keys=True, separators=(",", ":")) for line in lines)
    path.write_text(text + "\n", encoding="ascii")
    return path


def main() -> int:
    for story in STORIES:
        kept = FOLDER / f"{story.name.replace(' ', '-')}.jsonl"
        if "--missing" in sys.argv and kept.exists():
            continue
        path = write(story)
        print(f"{path.name}: {path.stat().st_size // 1024} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
