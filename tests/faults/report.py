"""What came of the matrix, as text, JSON and the table of the documentation. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.faults.running import Report
from tests.faults.seeded import Caught

__all__ = ["Hunt", "as_json", "as_markdown", "as_text"]

Titles = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Hunt:
    """What became of the planted bugs; empty where none was planted."""

    found: Sequence[Caught]
    seconds: float

    @property
    def caught(self) -> int:
        return sum(bug.caught for bug in self.found)


def as_json(report: Report, hunt: Hunt, _titles: Titles) -> str:
    families = {
        letter: {
            "cases": tally.cases,
            "failures": tally.failures,
            "seconds": round(tally.seconds, 2),
            "invariants": list(tally.invariants),
        }
        for letter, tally in sorted(report.families.items())
    }
    document = {
        "cases": report.cases,
        "failures": report.failures,
        "families": families,
        "seeded_bugs": {
            "planted": len(hunt.found),
            "caught": hunt.caught,
            "seconds": round(hunt.seconds, 2),
        },
        "seconds": round(report.seconds, 2),
    }
    return json.dumps(document, indent=2)


def as_text(report: Report, hunt: Hunt, titles: Titles) -> str:
    lines = [f"{'':2} {'cases':>6} {'failed':>6} {'CPU s':>6}"]
    for letter, tally in sorted(report.families.items()):
        lines.append(f"{letter:2} {tally.cases:6} {tally.failures:6} {tally.seconds:6.0f}  {titles[letter]}")
    lines.append(f"{'':2} {report.cases:6} {report.failures:6} {'':6}  in {report.seconds:.0f} s")
    if hunt.found:
        lines.append(
            f"seeded bugs: {len(hunt.found)} planted, {hunt.caught} caught, in {hunt.seconds:.0f} s more"
        )
    return "\n".join(lines)


def as_markdown(report: Report, hunt: Hunt, titles: Titles) -> str:
    lines = [
        "| | family | cases | main invariants | failures | CPU seconds |",
        "|---|---|---:|---|---:|---:|",
    ]
    for letter, tally in sorted(report.families.items()):
        invariants = " ".join(tally.invariants)
        lines.append(
            f"| {letter} | {titles[letter]} | {tally.cases:,} | {invariants} | {tally.failures} | {tally.seconds:.0f} |"
        )
    lines.append(
        f"| | **all** | **{report.cases:,}** | | **{report.failures}** | in {report.seconds:.0f} s on two cores |"
    )
    lines += [
        "",
        f"Of {len(hunt.found)} planted bugs {hunt.caught} were caught, in {hunt.seconds:.0f} s more:",
    ]
    lines += ["", "| planted | family that has to catch it | caught by |", "|---|---|---|"]
    lines += [f"| {bug.name} | {bug.family} | {bug.how if bug.caught else 'nothing'} |" for bug in hunt.found]
    return "\n".join(lines)
