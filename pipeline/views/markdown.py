"""Floor 2, views: a release's status as GitHub Markdown, for a job's step summary. Pure.

GitHub drops a summary above 1024 KiB: the lists are cut far below that, with a count of what is left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import datetime

from pipeline.model.ids import ReleaseName, TargetId
from pipeline.model.plan import Plan
from pipeline.model.run_state import RunState
from pipeline.model.target_state import TargetState
from pipeline.views.progress import Progress, progress
from pipeline.views.text import cut, moment, plain

__all__ = ["escaped", "status_markdown"]

_MOST = 50
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~@])")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no mentions, one line."""
    return html.escape(_SPECIAL.sub(r"\\\1", cut(plain(text), 300)), quote=False)


def status_markdown(
    release: ReleaseName,
    plan: Plan | None,
    run: RunState,
    targets: Mapping[TargetId, TargetState],
    now: datetime,
) -> str:
    page = progress(release, plan, run, targets, now)
    lines = [f"### {escaped(str(release))}: {run.run.value}", ""]
    if run.halted_because:
        where = f" in {escaped(page.halted_in)}" if page.halted_in else ""
        lines += [f"Halted{where} by {escaped(run.halted_by)}: {escaped(run.halted_because)}", ""]
    lines += _waves(page) + _failing(page) + ["Next: " + " or ".join(map(_code, page.next))]
    return "\n".join(lines) + "\n"


def _waves(page: Progress) -> list[str]:
    if not page.waves:
        return []
    lines = ["| wave | state | targets | healthy | in flight | failed | rolled back | pending |"]
    lines.append("|---|---|--:|--:|--:|--:|--:|--:|")
    for wave in page.waves:
        until = f" until {moment(wave.bake_until)}" if wave.bake_until else ""
        counts = (wave.targets, wave.healthy, wave.in_flight, wave.failed, wave.rolled_back, wave.pending)
        lines.append(f"| {escaped(wave.name)} | {wave.state}{until} | {' | '.join(map(str, counts))} |")
    return [*lines, ""]


def _failing(page: Progress) -> list[str]:
    failing = [row for row in page.targets if row.failed]
    if not failing:
        return []
    lines = ["| target | state | reason |", "|---|---|---|"]
    lines += [f"| {_code(str(row.id))} | {row.state} | {escaped(row.reason)} |" for row in failing[:_MOST]]
    if len(failing) > _MOST:
        lines.append(f"| … | | {len(failing) - _MOST} more |")
    return [*lines, ""]


def _code(text: str) -> str:
    return f"`{plain(text).replace('`', '')}`"
