"""A sample of the matrix: two thousand cases, evenly from every family. `scripts/faults` plays all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = 2_000
PARTS = 2
"""One for each worker: every part sets its own scenes."""


def _faults(*words: str) -> subprocess.CompletedProcess[str]:
    # In a process of its own: it forks, and pytest's workers have threads.
    command = [sys.executable, "-m", "tests.faults", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_the_invariants_hold_in_a_sample_of_all_families(part: int) -> None:
    played = _faults(
        "--cases", str(SAMPLE), "--part", f"{part}/{PARTS}", "--jobs", "1", "--without-bugs", "--json"
    )
    assert played.stderr == ""
    document = json.loads(played.stdout)
    assert document["failures"] == 0
    assert played.returncode == 0
    assert document["cases"] >= SAMPLE // PARTS - 10


def test_one_line_replays_one_case() -> None:
    first, second = (_faults("--seed", "4", "--crash-at", "31") for _ in range(2))
    assert first.returncode == 0, first.stdout
    assert first.stdout.startswith("scripts/faults --seed 4 --crash-at 31  # A: ")
    assert second.stdout.splitlines()[0] == first.stdout.splitlines()[0]


def test_a_seed_of_no_family_is_a_mistake_on_the_command_line() -> None:
    played = _faults("--seed", "25000000")
    assert (played.returncode, played.stderr) == (2, "error: no family has seeds like 25000000\n")
