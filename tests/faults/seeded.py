"""Teeth: bugs planted on purpose, each of which a family that is named has to catch within a few cases.

A bug is planted in a copy of the sources, in a folder of its own that a process of its own takes them from; nothing
is patched in this one. A snippet that stands no longer in the source is an error: the bug has to be planted anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.bugs import BUGS, Bug, Edit

__all__ = ["Caught", "hunt", "hunt_all", "plant"]

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("pipeline", "stages", "tests/faults", "tests/replay")
LONGEST = 400


@dataclass(frozen=True, slots=True)
class Caught:
    """how: the invariant that was broken and the case that shows it, or why the bug got away."""

    name: str
    family: str
    caught: bool
    how: str


def plant(edits: Sequence[Edit], root: Path) -> None:
    """LookupError where the source does not say exactly once what is to be changed."""
    for edit in edits:
        path = root / edit.path
        source = path.read_text(encoding="utf-8")
        if source.count(edit.original) != 1:
            raise LookupError(
                f"{edit.path} has {source.count(edit.original)} times, not once:\n{edit.original}"
            )
        path.write_text(source.replace(edit.original, edit.mutated), encoding="utf-8")


def hunt(bug: Bug) -> Caught:
    """Plays the family that has to catch it, in a process that has the planted sources."""
    with TemporaryDirectory(prefix="seeded-") as folder:
        root = Path(folder)
        _copy(root)
        plant(bug.edits, root)
        return _play(bug, root)


def hunt_all(jobs: int, bugs: Sequence[Bug] = BUGS) -> tuple[Caught, ...]:
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        return tuple(pool.map(hunt, bugs))


def _copy(root: Path) -> None:
    for part in COPIED:
        shutil.copytree(ROOT / part, root / part)
    for file in ("tests/__init__.py", "tests/simulation.py"):
        shutil.copy2(ROOT / file, root / file)


def _play(bug: Bug, root: Path) -> Caught:
    command = [
        sys.executable, "-m", "tests.faults", "--families", bug.family, "--cases", str(bug.cases),
        "--json", "--without-bugs", "--jobs", "1", "--stop-at", "1",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(root)}
    try:
        played = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return Caught(bug.name, bug.family, False, f"no end within {LONGEST} s")
    return _verdict(bug, played)


def _verdict(bug: Bug, played: subprocess.CompletedProcess[str]) -> Caught:
    """Caught is only what the family itself has found: a program that cannot even start has caught nothing."""
    try:
        failures = json.loads(played.stdout)["failures"]
    except ValueError:
        return Caught(bug.name, bug.family, False, f"did not run: {played.stderr[-300:]}")
    if not failures:
        return Caught(bug.name, bug.family, False, f"{bug.cases} cases of {bug.family} found nothing")
    line = played.stderr.strip().splitlines()[0]
    command, _, what = line.partition("  # ")
    return Caught(bug.name, bug.family, True, f"{what.removeprefix('Broken: ')[:60]} ({command})")
