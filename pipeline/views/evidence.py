"""Floor 2, views: the evidence for one client: what ran there, when, by whom, past which gates, on which numbers. Pure.

Other clients are nobody's business in it: lists of targets hold this client's own only, and a name of another that
stands in a sentence is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.model import event as e
from pipeline.model.canonical import Json
from pipeline.model.codec import to_json
from pipeline.model.ids import ReleaseName, TargetId
from pipeline.views.sentences import sentence
from pipeline.views.text import moment, plain

__all__ = ["EVIDENCE_FORMAT", "Evidence", "evidence_json", "evidence_text", "gather", "only"]

EVIDENCE_FORMAT = 1
_ANOTHER = "another client"
_ENDS = (
    e.TargetHealthy,
    e.TargetFailed,
    e.TargetUnknown,
    e.TargetSkipped,
    e.TargetReleased,
    e.TargetRolledBack,
    e.RollbackFailed,
    e.TargetQuarantined,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One release at one of the client's targets. before: what the account ran, as it was seen before the first
    write; empty where there was no stack. wave: place in the plan."""

    release: str
    target: TargetId
    plan: str
    wave: int
    claimed: e.Envelope
    before: str = ""
    ended: e.Envelope | None = None
    good: e.Envelope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """entry: as it stands in the journal. event: the same without targets of others; told and text, its JSON and
    its sentence, without their names."""

    entry: e.Envelope
    event: e.Event
    told: Json
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """runs, lines: oldest first."""

    client: str
    runs: tuple[Run, ...]
    lines: tuple[Line, ...]


def gather(client: str, streams: Mapping[str, Sequence[e.Envelope]]) -> Evidence:
    """streams: the whole journal, by stream. Empty where the journal never spoke of that client."""
    own = {name: entries for name, entries in streams.items() if _owner(name) == client}
    runs = tuple(
        sorted((run for entries in own.values() for run in _runs(entries)), key=lambda r: r.claimed.at)
    )
    others = {_owner(name) for name in streams} - {client, ""}
    hidden = _pattern({name for name in others if not name.startswith("@")})
    lines = [_line(entry, entry.event, hidden) for entries in own.values() for entry in entries]
    for release in dict.fromkeys(run.release for run in runs):
        deepest = max(run.wave for run in runs if run.release == release)
        for entry in streams.get(f"release/{release}", ()):
            event = _of_client(entry.event, client, deepest)
            if event is not None:
                lines.append(_line(entry, event, hidden))
    lines.sort(key=lambda line: (line.entry.at, line.entry.stream, line.entry.seq))
    return Evidence(client=client, runs=runs, lines=tuple(lines))


def only(evidence: Evidence, release: ReleaseName) -> Evidence:
    """Of one release: its own stream, and of each target's the part from its claim to the next."""
    runs = tuple(run for run in evidence.runs if run.release == str(release))
    kept, speaking = [], dict[str, bool]()
    for line in evidence.lines:
        stream = line.entry.stream
        if isinstance(line.event, e.TargetClaimed):
            speaking[stream] = line.event.release == str(release)
        if stream == e.release_stream(release) or speaking.get(stream, False):
            kept.append(line)
    return replace(evidence, runs=runs, lines=tuple(kept))


def _owner(stream: str) -> str:
    """A client's name, `@SERVICE`, or nothing for a release's stream."""
    parts = stream.split("/")
    return parts[2] if parts[0] == "target" and len(parts) == 4 else ""


def _pattern(names: set[str]) -> re.Pattern[str] | None:
    if not names:
        return None
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{longest_first})(?:/[a-z0-9-]+)?(?![\w-])")


def _line(entry: e.Envelope, event: e.Event, hidden: re.Pattern[str] | None) -> Line:
    told, text = to_json(event), sentence(event)
    if hidden is not None:
        told, text = _without(told, hidden), hidden.sub(_ANOTHER, text)
    return Line(entry=entry, event=event, told=told, text=text)


def _without(value: Json, hidden: re.Pattern[str]) -> Json:
    if isinstance(value, str):
        return hidden.sub(_ANOTHER, value)
    if isinstance(value, Mapping):
        return {key: _without(item, hidden) for key, item in value.items()}
    return [_without(item, hidden) for item in value] if isinstance(value, Sequence) else value


# --- what ran ----------------------------------------------------------------------------------------


def _runs(entries: Sequence[e.Envelope]) -> list[Run]:
    found: list[Run] = []
    for entry in entries:
        event = entry.event
        if isinstance(event, e.TargetClaimed):
            target = TargetId.parse(entry.stream.split("/", 2)[2])
            found.append(
                Run(release=event.release, target=target, plan=event.plan, wave=event.wave, claimed=entry)
            )
        elif found:
            found[-1] = _after(found[-1], entry)
    return found


def _after(run: Run, entry: e.Envelope) -> Run:
    event = entry.event
    if isinstance(event, e.TargetObserved) and not run.before and run.ended is None:
        return replace(run, before=event.mark.split(" ")[0] if event.mark else event.status)
    if isinstance(event, e.TargetGood):
        return replace(run, good=entry)
    if isinstance(event, e.TargetRetried):
        return replace(run, ended=None)
    return replace(run, ended=entry) if isinstance(event, _ENDS) else run


# --- what of a release concerns this client ------------------------------------------------------------


def _of_client(event: e.Event, client: str, deepest: int) -> e.Event | None:
    """None where it does not: a wave behind the client's own, or targets of others alone."""
    wave = getattr(event, "wave", None)
    if isinstance(wave, int) and wave > deepest:
        return None
    match event:
        case (
            e.TargetsClaimed(targets=targets)
            | e.TargetsDeferred(targets=targets)
            | e.RetryOrdered(targets=targets)
        ):
            mine = _mine(targets, client)
            return replace(event, targets=mine) if mine else None
        case e.RollbackOrdered(targets=targets) if targets:
            mine = _mine(targets, client)
            return replace(event, targets=mine) if mine else None
        case e.RunResumed(forgiven=forgiven):
            return replace(event, forgiven=_mine(forgiven, client))
        case e.WaveRolledBack(incomplete=incomplete):
            return replace(event, incomplete=_mine(incomplete, client))
        case e.PreflightDone(passed_over=passed_over):
            over = tuple(one for one in passed_over if one.target.owner == client)
            return replace(event, passed_over=over, notes=())
        case e.HeadsSigned(heads=heads):
            own = tuple(head for head in heads if _owner(head.stream) == client)
            return replace(event, heads=own) if own else None
        case _:
            return event


def _mine(targets: Sequence[TargetId], client: str) -> tuple[TargetId, ...]:
    return tuple(target for target in targets if target.owner == client)


# --- pages -------------------------------------------------------------------------------------------


def evidence_json(evidence: Evidence) -> Json:
    """Keys only ever grow. hash: of the journal's own entry, which `release audit verify` proves; `event` is that
    entry's without other clients."""
    return {
        "format_version": EVIDENCE_FORMAT,
        "client": evidence.client,
        "releases": [_run_json(run) for run in evidence.runs],
        "events": [
            {
                "seq": line.entry.seq,
                "at": to_json(line.entry.at),
                "actor": line.entry.actor,
                "type": type(line.event).__name__,
                "stream": line.entry.stream,
                "fence": line.entry.fence,
                "hash": line.entry.hash,
                "text": line.text,
                "event": line.told,
            }
            for line in evidence.lines
        ],
    }


def _run_json(run: Run) -> Json:
    return {
        "release": run.release,
        "service": run.release.partition("@")[0],
        "region": run.target.region,
        "plan": run.plan,
        "claimed_at": to_json(run.claimed.at),
        "by": run.claimed.actor,
        "before": run.before or None,
        "outcome": type(run.ended.event).__name__ if run.ended else None,
        "ended_at": to_json(run.ended.at) if run.ended else None,
        "told": sentence(run.ended.event) if run.ended else None,
        "good_at": to_json(run.good.at) if run.good else None,
    }


def evidence_text(evidence: Evidence) -> str:
    """What ran, a line each; then everything that was said of it."""
    lines = [f"{evidence.client}: what ran, by whom, and what came of it", ""]
    for run in evidence.runs:
        told = sentence(run.ended.event) if run.ended else "under way"
        good = f", good since {moment(run.good.at)}" if run.good else ""
        where = f"{plain(run.release)} in {run.target.region}"
        lines.append(f"  {moment(run.claimed.at)}  {where}  {told}{good}  ({plain(run.claimed.actor)})")
    lines += ["", "what was said of it", ""]
    for line in evidence.lines:
        subject = plain(line.entry.stream.partition("/")[2])
        lines.append(f"  {moment(line.entry.at)}  {subject}  {line.text}  ({plain(line.entry.actor)})")
    return "\n".join(lines) + "\n"
