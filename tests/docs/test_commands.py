"""Every command that the documentation shows exists, with every option it is shown with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, pages, prose_and_code
from tests.docs.reference import command_line

GROUP = command_line()
_ENDS = frozenset({"&&", "||", ";", "|", "#", ">", "<"})


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _shown(text: str) -> Iterator[list[str]]:
    """The words of every `release …` that is set as code, up to the next shell operator or comment."""
    for code in prose_and_code(text):
        line = code.removeprefix("$ ").strip()
        if not line.startswith("release ") or line.startswith("release {"):
            continue
        words = _words(line)[1:]
        end = next((n for n, word in enumerate(words) if word in _ENDS), len(words))
        yield words[:end]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=False)
    except ValueError:
        return line.split()


def _faults(words: list[str]) -> list[str]:
    """What of a command does not exist; empty for a command that does."""
    here: Any = GROUP
    for word in words:
        if word.startswith("-") and word != "-":
            if word.partition("=")[0] not in {name for one in here.params for name in one.opts} | {"--help"}:
                return [f"{' '.join(words)}: no option {word}"]
        elif hasattr(here, "commands"):
            if word not in here.commands:
                return [f"{' '.join(words)}: no command {word}"]
            here = here.commands[word]
    return []


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_every_command_on_the_page_exists_with_its_options(page: Path) -> None:
    faults = [
        fault for words in _shown(page.read_text(encoding="utf-8")) if words for fault in _faults(words)
    ]
    assert faults == []


def test_a_command_that_does_not_exist_is_found() -> None:
    text = "`release frobnicate` and `release status --sideways`, but `release --yes audit verify` is fine"
    assert [fault for words in _shown(text) for fault in _faults(words)] == [
        "frobnicate: no command frobnicate",
        "status --sideways: no option --sideways",
    ]
