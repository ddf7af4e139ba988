"""Modules stay small, say which room they are, and leave ending the process to the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.architecture.reading import ROOT, module_of, sources

LONGEST = 450
SAMPLE = "pipeline.demo.sample"


def _own() -> list[Path]:
    """Without the sample services: those are a customer's sources."""
    return [path for path in sources(ROOT) if not module_of(path, ROOT).startswith(SAMPLE)]


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def test_no_module_is_long() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in _own()}

    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_every_module_says_what_it_is() -> None:
    silent = [str(path.relative_to(ROOT)) for path in _own() if not ast.get_docstring(_tree(path))]

    assert silent == []


PROGRAMS = ("pipeline.cli", "pipeline.adapters.local.front.server")
"""Rooms that are a program's entrance; the second runs the local AWS in a process of its own."""


def test_only_a_programs_entrance_ends_the_process() -> None:
    ending = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _own()
        if not module_of(path, ROOT).startswith(PROGRAMS)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("exit", "_exit", "abort")
        and isinstance(node.value, ast.Name)
        and node.value.id in ("sys", "os")
    ]

    assert ending == []


def test_no_except_is_bare() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _own()
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]

    assert bare == []


def test_nothing_refers_to_a_folder_outside_the_repository() -> None:
    outside = re.compile(r"(^|/)(shared|\.\./shared)/")
    referring = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _own()
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and outside.search(node.value)
    ]

    assert referring == []
