"""Floor 3, config: one fault of a file, how its place is written, and the error that carries all of them.

It never stops at the first fault and never repeats an e-mail address or control characters from a file.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pipeline.errors import ConfigInvalid

__all__ = ["Fault", "config_invalid", "nearest", "place", "shown"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """file: as a person would type it, `intake/release.toml`. at: the place in it, `client[3].account`, or
    `line 4, column 2`, or empty for the file as a whole. text: what was found and what to write instead."""

    file: str
    at: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.at}: {self.text}" if self.at else f"{self.file}: {self.text}"


def config_invalid(faults: Iterable[Fault]) -> ConfigInvalid:
    """The error that lists every fault once, files in the order in which they were read."""
    lines = tuple(dict.fromkeys(str(fault) for fault in faults))
    files = tuple(dict.fromkeys(fault.file for fault in faults))
    count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
    names = files[0] if len(files) == 1 else f"{len(files)} files"
    return ConfigInvalid(
        f"{count} in {names}",
        state="nothing was changed",
        remedy="correct " + ("it" if len(lines) == 1 else "them") + " and run the same command again",
        details=lines,
    )


def place(parts: Iterable[str | int]) -> str:
    """`("client", 3, "account")` becomes `client[3].account`; odd keys are quoted."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else shown(part)
            text += f".{key}" if text else key
    return text


def shown(value: object) -> str:
    """A value as TOML would write it, short and printable whatever it holds."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _cut(str(value) if abs(value) < 10**_LONGEST else "a very large number")
    if isinstance(value, str):
        quoted = json.dumps(value[: _LONGEST + 1], ensure_ascii=not value[: _LONGEST + 1].isprintable())
        return quoted if len(value) <= _LONGEST else f'{quoted[:_LONGEST]}…"'
    return {"dict": "a table", "list": "an array"}.get(type(value).__name__, _cut(str(value)))


def nearest(found: str, known: Collection[str]) -> str:
    """`; did you mean "regions"?`, or the list of what is known where nothing comes near; never empty."""
    close = difflib.get_close_matches(found[:_LONGEST], sorted(known), n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return "known: " + (", ".join(sorted(known)[:20]) or "none")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
