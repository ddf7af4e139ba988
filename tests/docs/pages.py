"""Reads the repository's Markdown: pages, headings, links, fenced blocks, and the commands a reader would type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Command", "anchors", "blocks", "commands", "links", "pages", "prose_and_code", "spans"]

ROOT = Path(__file__).resolve().parents[2]
_TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
_FENCE = re.compile(r"^```(?P<kind>[a-z]*)[^\n]*\n(?P<text>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_SOURCE = re.compile(r"(?:src|srcset|href)=\"([^\"]+)\"")
_SPAN = re.compile(r"`([^`\n]+)`")
_EXIT = re.compile(r"\s*#\s*exits (\d+)\s*$")


@dataclass(frozen=True, slots=True)
class Command:
    """One line behind a `$ `. exits: the exit code the page promises, 0 where it says nothing."""

    text: str
    exits: int


def pages() -> tuple[Path, ...]:
    """Every page that a reader meets, in a stable order."""
    return (*(ROOT / name for name in _TOP), *sorted((ROOT / "docs").rglob("*.md")))


def blocks(text: str, kind: str) -> tuple[str, ...]:
    """The text of the fenced blocks of one language."""
    return tuple(found["text"] for found in _FENCE.finditer(text) if found["kind"] == kind)


def commands(text: str) -> tuple[Command, ...]:
    """The lines behind `$ ` in console blocks, in the order in which they stand."""
    found = []
    for block in blocks(text, "console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                promise = _EXIT.search(line)
                typed = line[2 : promise.start()] if promise else line[2:]
                found.append(Command(typed.rstrip(), int(promise[1]) if promise else 0))
    return tuple(found)


def links(text: str) -> tuple[str, ...]:
    """Targets of links and pictures outside fenced blocks."""
    prose = _FENCE.sub("", text)
    return (*_LINK.findall(prose), *_SOURCE.findall(prose))


def spans(text: str) -> tuple[str, ...]:
    """Code spans outside fenced blocks."""
    return tuple(_SPAN.findall(_FENCE.sub("", text)))


def prose_and_code(text: str) -> tuple[str, ...]:
    """Whatever is set as code: spans, and the lines of every fenced block but Mermaid's."""
    fenced = [found["text"] for found in _FENCE.finditer(text) if found["kind"] != "mermaid"]
    return (*spans(text), *(line for block in fenced for line in block.splitlines()))


def anchors(text: str) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#{1,6}\s+(.+?)\s*$", _FENCE.sub("", text), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
