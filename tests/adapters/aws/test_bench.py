"""scripts/bench, small: the real engine over the real adapters stays within its bars."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[3] / "scripts" / "bench"


def test_a_promotion_to_eight_accounts_stays_within_every_bar() -> None:
    command = [sys.executable, str(BENCH), "--json", "--targets", "8", "--latency", "0.01"]
    command += ["--change-set-seconds", "0.2", "--stack-seconds", "0.5"]

    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    document = json.loads(found.stdout)
    assert {bar for bar, held in document["bars"].items() if not held} == set()
    assert (found.returncode, document["ending"], document["calls_per_target"]) == (0, "succeeded", 10.0)
