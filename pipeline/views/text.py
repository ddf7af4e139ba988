"""Floor 2, views: plain text that is safe to print, and tables of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

__all__ = ["WIDTH", "count", "cut", "listed", "moment", "plain", "short", "span", "table"]

WIDTH = 100
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?|\x9b[0-?]*[ -/]*[@-~]", re.S
)


def plain(text: str) -> str:
    """One line without terminal escapes, control or direction characters, whoever wrote the text."""
    unescaped = _ESCAPES.sub("", text)
    spaced = "".join(" " if c.isspace() else c if c.isprintable() else "?" for c in unescaped)
    return " ".join(spaced.split())


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def short(digest: str | None) -> str:
    """The first twelve digits of a digest; enough to compare by eye."""
    return digest.removeprefix("sha256:")[:12] if digest else "none"


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def span(length: timedelta) -> str:
    """The two largest units: `1d 2h`, `3m 20s`, `0s`; negative lengths count as nothing."""
    seconds = max(0, int(length.total_seconds()))
    parts: list[str] = []
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        amount, seconds = divmod(seconds, unit)
        if amount:
            parts.append(f"{amount}{name}")
    return " ".join(parts[:2]) or "0s"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Sequence[str], most: int = 6) -> str:
    """`a, b, c and 4 more`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()
) -> list[str]:
    """Columns as wide as their widest cell, two spaces apart, indented by two; `right` names right-aligned ones."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            c.rjust(w) if n in right else c.ljust(w)
            for n, (c, w) in enumerate(zip(cells, widths, strict=True))
        )
        return ("  " + "  ".join(padded)).rstrip()

    return [line(row) for row in (head, *rows)]
