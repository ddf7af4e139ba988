"""`python -m tests.faults`: the matrix, one case of it, or its table. `scripts/faults` calls it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.cases import FAMILY_SPAN, LETTERS, Case, Family
from tests.faults.families import FAMILIES
from tests.faults.report import Hunt, as_json, as_markdown, as_text
from tests.faults.running import pick, replay, run
from tests.faults.seeded import Caught, hunt_all

JOBS = 2


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--cases", type=int, help="about so many, evenly from every family; default: all")
    parser.add_argument("--families", default="", help="letters, as in A,C,E; default: all")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument(
        "--markdown", action="store_true", help="the table of docs/faults.md on standard output"
    )
    parser.add_argument("--docs", action="store_true", help="write that table into docs/faults.md")
    parser.add_argument("--seed", type=int, help="play one case, together with --crash-at")
    parser.add_argument(
        "--crash-at", type=int, default=0, metavar="K", help="the boundary, or the family's place"
    )
    parser.add_argument("--large", action="store_true", help="everything there is: hours")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"processes; default {JOBS}")
    parser.add_argument("--part", default="1/1", help="one part of the cases, as in 2/4")
    parser.add_argument("--stop-at", type=int, default=0, metavar="N", help="stop at so many failures")
    parser.add_argument("--without-bugs", action="store_true", help="plant no seeded bugs")
    return parser.parse_args()


def _one(case: Case) -> int:
    family = next((f for f in FAMILIES if f.letter == case.letter), None)
    if family is None:
        print(f"error: no family has seeds like {case.seed}", file=sys.stderr)
        return 2
    began = time.perf_counter()
    verdict = replay(family, case)
    seconds = time.perf_counter() - began
    print(f"{case.command}  # {family.letter}: {family.title}")
    print(f"{'FAILED' if verdict.failure else 'well'} after {seconds:.2f} s {verdict.failure}".rstrip())
    return 1 if verdict.failure else 0


def _part(picked: dict[str, list[Case]], part: str) -> dict[str, list[Case]]:
    number, _, of = part.partition("/")
    return {letter: cases[int(number) - 1 :: int(of)] for letter, cases in picked.items()}


def _wanted(letters: str) -> Sequence[Family]:
    wanted = {letter.strip().upper() for letter in letters.split(",") if letter.strip()}
    return [family for family in FAMILIES if not wanted or family.letter in wanted]


def _write_docs(table: str) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
    before, begin, rest = page.read_text(encoding="utf-8").partition("<!-- run -->\n")
    _, end, after = rest.partition("<!-- end of run -->\n")
    page.write_text(f"{before}{begin}\n{table}\n\n{end}{after}", encoding="utf-8")


def main() -> int:
    asked = _asked()
    if asked.seed is not None:
        if not 0 <= asked.seed < FAMILY_SPAN * len(LETTERS):
            print(f"error: {asked.seed} is no seed of any family", file=sys.stderr)
            return 2
        return _one(Case(asked.seed, asked.crash_at))
    families = _wanted(asked.families)
    if not families:
        known = ",".join(family.letter for family in FAMILIES)
        print(f"error: no such family: {asked.families}; there are {known}", file=sys.stderr)
        return 2
    picked = _part(pick(families, asked.cases, large=asked.large), asked.part)
    began = time.perf_counter()
    report = run(families, picked, jobs=asked.jobs, stop_at=asked.stop_at)
    caught: Sequence[Caught] = () if asked.without_bugs else hunt_all(asked.jobs)
    hunted = time.perf_counter() - began - report.seconds
    for result in report.failed:
        print(f"{result.case.command}  # {result.verdict.failure}", file=sys.stderr)
    for bug in caught:
        if not bug.caught:
            print(f"not caught: {bug.name}: {bug.how}", file=sys.stderr)
    hunt = Hunt(caught, hunted)
    tell = as_json if asked.json else as_markdown if asked.markdown else as_text
    titles = {family.letter: family.title for family in families}
    if asked.docs:
        _write_docs(as_markdown(report, hunt, titles))
    print(tell(report, hunt, titles))
    return 0 if not report.failures and all(bug.caught for bug in caught) else 1


if __name__ == "__main__":
    sys.exit(main())
