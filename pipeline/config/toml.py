"""Floor 3, config: from a path to parsed TOML, whatever stands there. It knows nothing of fleets or services.

Account ids are the trap: `account = 012345670123` is no TOML at all, since a number cannot begin with 0. Such
values are marked instead of given up on, so that the rest of the file is checked in the same run.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pipeline.config.faults import Fault

__all__ = ["MAX_BYTES", "UNQUOTED", "Parsed", "parse", "read_text", "read_toml"]

MAX_BYTES = 1024 * 1024
UNQUOTED = "\0unquoted "
"""Begins the value of an account id that stood in the file as a number with a leading zero."""

Parsed = dict[str, Any]
_LOCATION = re.compile(
    r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.S
)
_LEADING_ZERO = re.compile(
    r"(?P<key>\b(?:account|management)\"?[ \t]*=[ \t]*)(?P<digits>0[0-9_]+)(?=[ \t\r,}#]|$)", re.M
)


def read_toml(path: Path, label: str) -> tuple[Parsed | None, list[Fault]]:
    """The parsed file, or None with the faults that stopped it; never raises for what a file can hold."""
    text, faults = read_text(path, label)
    if text is None:
        return None, faults
    return parse(text, label)


def read_text(path: Path, label: str) -> tuple[str | None, list[Fault]]:
    def refused(why: str) -> tuple[None, list[Fault]]:
        return None, [Fault(file=label, at="", text=why)]

    try:
        if path.is_dir():
            return refused("is a directory; a TOML file is wanted here")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return refused("there is no such file")
    except (OSError, ValueError) as fault:  # ValueError: a NUL in the path
        return refused(f"cannot be read: {getattr(fault, 'strerror', None) or fault}")
    if len(content) > MAX_BYTES:
        return refused("is larger than 1 MiB; split it or look for what does not belong in it")
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as fault:
        line = content[: fault.start].count(b"\n") + 1
        return None, [Fault(file=label, at=f"line {line}", text="is not UTF-8; save the file as UTF-8")]


def parse(text: str, label: str) -> tuple[Parsed | None, list[Fault]]:
    try:
        return tomllib.loads(text), []
    except RecursionError:
        return None, [Fault(file=label, at="", text="is nested too deeply")]
    except ValueError as fault:  # TOMLDecodeError, and int() of more digits than Python allows
        first = _syntax_fault(str(fault), text, label)
        line = _line_of(str(fault))
    if line is None or not _LEADING_ZERO.search(_lines(text)[line - 1]):
        return None, [first]
    return _parse_marked(text, label)


def _parse_marked(text: str, label: str) -> tuple[Parsed | None, list[Fault]]:
    """Parse again with the unquoted ids marked; the checks that follow then find them at their place."""
    marked = _LEADING_ZERO.sub(lambda m: f'{m["key"]}"\\u0000unquoted {m["digits"]}"', text)
    try:
        return tomllib.loads(marked), []
    except (ValueError, RecursionError) as fault:
        faults = [_unquoted(number, line, label) for number, line in enumerate(_lines(text), 1)]
        return None, [f for f in faults if f is not None] + [_syntax_fault(str(fault), marked, label)]


def _unquoted(number: int, line: str, label: str) -> Fault | None:
    found = _LEADING_ZERO.search(line)
    if found is None:
        return None
    key = "management" if "management" in found["key"] else "account"
    return Fault(
        file=label, at=f"line {number}", text=f'quote it: {key} = "{found["digits"].replace("_", "")}"'
    )


def _syntax_fault(message: str, text: str, label: str) -> Fault:
    found = _LOCATION.match(message)
    if found is None:
        return Fault(file=label, at="", text="holds a number with too many digits")
    what = found["what"][0].lower() + found["what"][1:] if found["what"] else "not TOML"
    if found["line"] is None:
        last = _lines(text)
        return Fault(
            file=label, at=f"line {len(last)}, column {len(last[-1]) + 1}", text=f"not TOML: {_plain(what)}"
        )
    return Fault(
        file=label, at=f"line {found['line']}, column {found['column']}", text=f"not TOML: {_plain(what)}"
    )


def _line_of(message: str) -> int | None:
    found = _LOCATION.match(message)
    return int(found["line"]) if found and found["line"] else None


def _lines(text: str) -> list[str]:
    return text.split("\n")


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
