"""Floor 5, the console: stdout carries results only, stderr everything else; the one place that asks a person."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import OperationFailed, UsageError
from pipeline.model.canonical import Json

if TYPE_CHECKING:
    from pipeline.model.event import Envelope
    from pipeline.model.plan import Plan

__all__ = ["Settings", "ask", "heard", "result", "result_json", "streamed", "tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """project: where to look for fleet.toml. yes: ordinary prompts are answered yes."""

    project: Path
    yes: bool = False


def result(text: str) -> None:
    """BrokenPipeError where the reader has gone; OperationFailed where there is no room for what was asked."""
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as fault:
        raise OperationFailed(
            f"the answer cannot be written to stdout: {fault.strerror}",
            state="what the command did stands; only its answer is lost",
            remedy="make room, or send the output elsewhere",
        ) from fault


def result_json(document: Json) -> None:
    result(json.dumps(document, indent=2, ensure_ascii=True))


def tell(line: str) -> None:
    """Progress for a person; a closed or full stderr must not stop a release."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:
        return


_QUIET = {
    "ChangeSetEmpty",
    "ChangeSetInspected",
    "ChangeSetIntended",
    "ChangeSetMade",
    "ContinueIntended",
    "ExecutionIntended",
    "HeadsSigned",
    "StackSettled",
    "TargetGood",
    "TargetObserved",
    "TargetVerified",
    "TargetsClaimed",
    "WaveJudging",
}


def heard(entry: Envelope, plan: Plan) -> None:
    """One line for each change that a person would want to see, its waves by the names in the plan."""
    from pipeline.views.history import sentence

    if type(entry.event).__name__ in _QUIET or os.environ.get("RELEASE_NO_PROGRESS"):
        return
    kind, _, name = entry.stream.partition("/")
    subject = name.partition("/")[2] if kind == "target" else name
    tell(f"{entry.at:%H:%M:%S}  {subject:<24} {sentence(entry.event, plan)}")


def streamed(entry: Envelope, _plan: Plan) -> None:
    """The journal's entry as one line of JSON, as it happens."""
    from pipeline.model.codec import to_json
    from pipeline.model.event import event_to_json

    line = {
        "format_version": 1,
        "stream": entry.stream,
        "seq": entry.seq,
        "at": to_json(entry.at),
        "actor": entry.actor,
        "event": event_to_json(entry.event),
    }
    result(json.dumps(line, ensure_ascii=True, separators=(",", ":")))


def ask(question: str, settings: Settings, words: tuple[str, ...]) -> None:
    """Go on only after a yes. Without a terminal and without --yes: exit 2 and the command to run, never a hang.

    words: what was typed behind `release`, for that command.
    """
    if settings.yes:
        return
    project = () if settings.project == Path() else ("-C", str(settings.project))
    command = shlex.join(("release", *project, "--yes", *words))
    if sys.stdin is None or not sys.stdin.isatty():  # None: it was closed before the command began
        raise UsageError(
            f"{question} There is no terminal to ask",
            state="nothing was done",
            remedy=f"run `{command}`",
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("not confirmed", state="nothing was done", remedy=f"run `{command}` again")
