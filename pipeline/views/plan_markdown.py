"""Floor 2, views: a plan as GitHub Markdown for a job's step summary, and its waves as a Mermaid chart. Pure.

GitHub drops a summary above 1024 KiB: the lists are cut far below that, with a count of what is left out.
"""

from __future__ import annotations

from pipeline.model.plan import EffectKind, Plan, Wave, plan_digest
from pipeline.views.markdown import escaped
from pipeline.views.plan_sentences import (
    canary_lines,
    expectations,
    expected_end,
    held_lines,
    lag_lines,
    minute,
    note_lines,
)
from pipeline.views.text import count, short, span

__all__ = ["plan_markdown", "plan_mermaid"]

_MOST = 50


def plan_markdown(plan: Plan) -> str:
    """Header, effects, waves with their estimates, and what to know before promoting."""
    lines = [f"### Plan of {escaped(str(plan.release))}", ""]
    end = expected_end(plan)
    until = f", done by {minute(end)} if nothing fails" if end else ""
    lines += [f"`{short(plan_digest(plan))}`, {count(len(plan.targets), 'target')}{until}.", ""]
    lines += _effects(plan) + _waves(plan)
    for block in (canary_lines(plan), held_lines(plan), lag_lines(plan), _skipped(plan), note_lines(plan)):
        lines += _listed(block)
    return "\n".join([*lines, f"Next: `release promote {plan.release}`"]) + "\n"


def _effects(plan: Plan) -> list[str]:
    words = {EffectKind.CREATE: "first creation", EffectKind.UPDATE: "changes", EffectKind.NOTHING: "nothing"}
    lines = [
        f"- {count(len(group.targets), 'target')}: {words[group.effect]}"
        + (f" ({escaped('; '.join(group.changes[:3]))})" if group.changes else "")
        for group in plan.groups[:_MOST]
    ]
    return [*lines, ""] if lines else []


def _waves(plan: Plan) -> list[str]:
    if not plan.waves:
        return []
    expected = expectations(plan)
    lines = [
        "| | wave | targets | bake | on failure | approval | expected |",
        "|--:|---|--:|---|---|---|---|",
    ]
    for place, wave in enumerate(plan.waves):
        when = minute(expected[place][0]) if place in expected else ""
        asked = "yes" if wave.approval else ""
        cells = (span(wave.bake), wave.on_fail.value, asked, when)
        lines.append(f"| {wave.number} | {escaped(wave.name)} | {len(wave.targets)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _skipped(plan: Plan) -> list[str]:
    if not plan.skipped:
        return []
    lines = [f"{skipped.id} {skipped.reason}" for skipped in plan.skipped[:_MOST]]
    if len(plan.skipped) > _MOST:
        lines.append(f"… and {len(plan.skipped) - _MOST} more")
    return [f"skipped: {count(len(plan.skipped), 'target')}", *lines]


def _listed(block: list[str]) -> list[str]:
    """Its first line as it is, the others as a list; notes have no head."""
    if not block:
        return []
    if block[0].startswith("note: "):
        return [*(f"- {escaped(line.removeprefix('note: '))}" for line in block), ""]
    return [escaped(block[0]), "", *(f"- {escaped(line)}" for line in block[1:]), ""]


def plan_mermaid(plan: Plan) -> str:
    """A Gantt chart of the waves and their bakes, as expected. Mermaid reads times in UTC here."""
    lines = ["gantt", f"  title {plan.release}", "  dateFormat YYYY-MM-DDTHH:mm:ss", "  axisFormat %d %H:%M"]
    expected = expectations(plan)
    for place, wave in enumerate(plan.waves):
        if place in expected:
            start, finish = expected[place]
            lines.append(f"  section {wave.name}")
            lines.append(f"  {_targets(wave)} :{start:%Y-%m-%dT%H:%M:%S}, {finish:%Y-%m-%dT%H:%M:%S}")
            baked = finish + wave.bake
            lines.append(f"  bake :{finish:%Y-%m-%dT%H:%M:%S}, {baked:%Y-%m-%dT%H:%M:%S}")
    return "\n".join(lines) + "\n"


def _targets(wave: Wave) -> str:
    return count(len(wave.targets), "target") if wave.targets else "late ones"
