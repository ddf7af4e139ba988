"""Takes a kept story up again at a cut: journal and cloud as they were then, and the same commands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.adapters.simulated.cloud import Break
from pipeline.adapters.simulated.witness import Call
from pipeline.model import event as e
from pipeline.model.canonical import canonical
from pipeline.model.codec import decode
from pipeline.model.ids import AccountId, Digest, ReleaseName
from pipeline.model.plan import Plan, plan_digest, plan_from_json
from pipeline.model.policy import WavePolicy
from pipeline.ports import ChangeSetRequest, Head, Lease, Place
from stages.rollback import RollbackScope
from tests.faults.sight import fail
from tests.faults.stage import Stage
from tests.replay.kept import Kept, Line, entry_from_json, folded
from tests.simulation import SERVICE, a_fleet

__all__ = ["take_up"]


def take_up(kept: Kept, cut: int, tmp: Path) -> Stage:
    """The story from `cut` on to its end; AssertionError where it ends in another way than it did then."""
    stage, plans = _set(kept, cut, tmp)
    _carry_on(stage, kept, cut, plans)
    assert stage.runs() == kept.end["runs"], (stage.runs(), kept.end["runs"])
    return stage


def _set(kept: Kept, cut: int, tmp: Path) -> tuple[Stage, dict[str, Plan]]:
    scene = kept.lines[0]
    policy = decode(WavePolicy, scene["policy"])
    stage = Stage(tmp, fleet=a_fleet(scene["clients"]), policy=policy)
    watched = stage.cloud.watch
    stage.cloud.watch = lambda _call: None
    plans: dict[str, Plan] = {}
    for line in kept.of_kind("build"):
        stage.build(line["version"])
    for line in kept.of_kind("plan"):
        plan = plan_from_json(canonical(line["plan"]))
        plans[f"{SERVICE}@{line['version']}"] = plan
        stage.check.record.knows(plan)
        stage.plans.append(plan)
        stage.artifacts.put(canonical(line["plan"]), ("us-east-1",))
    _write_journal(stage, kept, cut)
    _repeat_calls(stage, kept, cut)
    stage.cloud.watch = watched
    _was_told_so(kept, cut)
    return stage, plans


def _write_journal(stage: Stage, kept: Kept, cut: int) -> None:
    """As it was kept, hash for hash; the lease is still somebody's, and runs out."""
    recorder: Any = stage.stores[0]
    journal = recorder._journal
    journal._entries.clear()
    journal._heads.clear()
    recorder._seen.clear()
    stage.check.record.__init__()  # type: ignore[misc]
    for plan in stage.plans:
        stage.check.record.knows(plan)
    streams: dict[str, list[e.Envelope]] = {}
    for line in kept.of_kind("entry", cut):
        entry = entry_from_json(line)
        streams.setdefault(entry.stream, []).append(entry)
        stage.check.record.learn(entry)
        stage.check.latest = journal._latest = entry.at
    for stream, entries in streams.items():
        last = entries[-1]
        journal._entries[stream] = tuple(entries)
        fence = max(entry.fence for entry in entries)
        journal._heads[stream] = Head(seq=last.seq, fence=fence, hash=last.hash)
        assert journal.read(stream) == tuple(entries)
        recorder._seen[stream] = list(entries)
    assert stage.check.latest is not None, "a cut lies behind the first entry"
    highest = max(head.fence for head in journal._heads.values())
    name = f"service/{SERVICE}"
    stage.stores[1]._newest[name] = Lease(
        name=name, holder="somebody", fence=highest, expires=stage.check.latest + timedelta(seconds=30)
    )


def _was_told_so(kept: Kept, cut: int) -> None:
    streams: dict[str, list[e.Envelope]] = {}
    for line in kept.of_kind("entry", cut):
        streams.setdefault(line["stream"], []).append(entry_from_json(line))
    found, told = folded(streams), kept.lines[cut]["folded"]
    different = {stream: (found[stream], told[stream]) for stream in told if found[stream] != told[stream]}
    if different:
        fail("I14", f"{kept.name} folds to something else than it did: {different}")


def _repeat_calls(stage: Stage, kept: Kept, cut: int) -> None:
    """What changed the cloud changes it again, at the same moments, so that every id and token is the same."""
    for line in kept.lines[:cut]:
        if line["kind"] == "break":
            _breaks(stage, line)
        elif line["kind"] == "halt":
            stage.stores[2].close(line["release"], "pulled the cord", "ann")
            stage.check.closed.add(line["release"])
        elif line["kind"] == "command" and line["verb"] == "resume":
            stage.stores[2].open(line["release"])
            stage.check.closed.discard(line["release"])
        elif line["kind"] == "call":
            _repeat(stage, line)
    assert stage.check.latest is not None
    stage.clock.advance(max(timedelta(0), stage.check.latest - stage.clock.now()) + timedelta(seconds=31))


def _breaks(stage: Stage, line: Line) -> None:
    account = None if line["account"] is None else AccountId(line["account"])
    after = timedelta(milliseconds=line["after"])
    stage.cloud.breaks(
        Break(template=Digest(line["template"]), how=line["how"], account=account, after=after)
    )


def _repeat(stage: Stage, line: Line) -> None:
    place = Place(AccountId(line["account"]), line["region"])
    stage.clock.advance(max(timedelta(0), datetime.fromisoformat(line["at"]) - stage.clock.now()))
    stacks = stage.cloud.stacks
    match line["call"]:
        case "create_change_set" if "template" in line:
            request = ChangeSetRequest(
                stack=line["stack"],
                name=line["change_set"],
                token=line["token"],
                creating=line["creating"],
                template=Digest(line["template"]),
                parameters=tuple((name, value) for name, value in line["parameters"]),
                tags=(),
            )
            stacks.create_change_set(place, request)
        case "delete_change_set":
            stacks.delete_change_set(place, line["stack"], line["change_set"])
        case "execute_change_set":
            stacks.execute_change_set(place, line["stack"], line["change_set"], line["token"])
            _is_known_to_have_begun(stage, stage.cloud.mutations[-1])
        case _:
            pass


def _is_known_to_have_begun(stage: Stage, call: Call) -> None:
    stream, attempt = stage.check.record.tokens[call.token]
    attempt.begun += 1
    target = stage.check.record.target(stream)
    if attempt.plan == target.plan:
        target.changed = True


def _pulling(stage: Stage, release: ReleaseName) -> Callable[[e.Envelope], None]:
    return lambda _entry: stage.pull(release)


def _carry_on(stage: Stage, kept: Kept, cut: int, plans: dict[str, Plan]) -> None:
    """The command that was being carried out is typed again, and then those that followed it."""
    for line in kept.lines[cut:]:
        if line["kind"] == "halt":
            kind, release = getattr(e, line["event"]), ReleaseName.parse(line["release"])
            stage.happens_when(kind, line["stream"], _pulling(stage, release))
        elif line["kind"] == "break":
            _breaks(stage, line)
    commands = [n for n, line in enumerate(kept.lines) if line["kind"] == "command"]
    current = max(n for n in commands if n < cut)
    for number in (n for n in commands if n >= current):
        line = kept.lines[number]
        plan = plans[line["release"]]
        if line["verb"] == "resume":
            if number >= cut or stage.check.record.runs[line["release"]].standing == "halted":
                stage.resume(plan)
            continue
        if line["verb"] == "promote":
            ending = stage.promote(plan)
        else:
            ending = stage.rollback(plan, RollbackScope(wave=line["wave"], all=line["all"]))
        assert ending.kind.value == line["ending"], (number, ending, line)
    assert plan_digest(stage.plans[-1]) in stage.check.record.by_plan
