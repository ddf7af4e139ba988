"""Floor 2, views: a plan as text with equal effects grouped, and as JSON. Pure."""

from __future__ import annotations

from datetime import timedelta

from pipeline.model.canonical import Json
from pipeline.model.codec import to_json
from pipeline.model.plan import EffectGroup, EffectKind, Plan, Wave, plan_digest
from pipeline.views.text import WIDTH, count, cut, listed, moment, plain, short, span, table

__all__ = ["has_changes", "plan_json", "plan_text"]

_MOST = 12
"""changes shown of one group"""


def has_changes(plan: Plan) -> bool:
    return any(target.effect is not EffectKind.NOTHING for target in plan.targets)


def plan_text(plan: Plan) -> str:
    """What would happen, where and in which order; the last line is the next command."""
    blocks = [
        _header(plan),
        _effects(plan),
        _waves(plan),
        _skipped(plan),
        [f"next: release promote {plan.release}"],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _header(plan: Plan) -> list[str]:
    return [
        f"plan {short(plan_digest(plan))} of {plan.release} ({short(plan.digest)})",
        f"  made {moment(plan.created_at)}, valid until {moment(plan.expires_at)}",
    ]


def _effects(plan: Plan) -> list[str]:
    total = len(plan.targets)
    if not total:
        return ["no targets: no client subscribes to this service, or all are skipped"]
    parts = [f"{_of(group, total)}: {_effect(group)}" for group in plan.groups]
    lines = ["; ".join(parts)] if parts else []
    for group in plan.groups:
        if group.effect is EffectKind.NOTHING:
            continue
        lines += ["", cut(f"{_effect(group)} at {listed([str(t) for t in group.targets], 4)}", WIDTH)]
        lines += [cut(f"  {_symbol(group)} {plain(change)}", WIDTH) for change in group.changes[:_MOST]]
        if len(group.changes) > _MOST:
            lines.append(f"  … and {len(group.changes) - _MOST} more: release plan {plan.release} --json")
    return lines


def _of(group: EffectGroup, total: int) -> str:
    number = len(group.targets)
    return (
        f"all {count(total, 'target')}"
        if number == total and total > 1
        else f"{number} of {count(total, 'target')}"
    )


def _effect(group: EffectGroup) -> str:
    match group.effect:
        case EffectKind.NOTHING:
            return "nothing to change"
        case EffectKind.CREATE:
            return f"first creation, {count(len(group.changes), 'resource')}"
        case EffectKind.UPDATE:
            same = "the same " if len(group.targets) > 1 else ""
            return f"{same}{count(len(group.changes), 'change')}"


def _symbol(group: EffectGroup) -> str:
    return "+" if group.effect is EffectKind.CREATE else "~"


def _waves(plan: Plan) -> list[str]:
    rows = [
        (
            str(wave.number),
            wave.name,
            count(len(wave.targets), "target"),
            span(wave.bake),
            f"{wave.max_in_flight} ({wave.pace.value})",
            str(wave.tolerance),
            wave.on_fail.value,
            cut(listed([str(target) for target in wave.targets], 4), 44),
        )
        for wave in plan.waves
    ]
    head = ("", "wave", "", "bake", "at once", "tolerance", "on failure", "")
    return [cut(line, WIDTH) for line in table(head, rows)] if rows else []


def _skipped(plan: Plan) -> list[str]:
    lines = [cut(f"  {skipped.id}  {plain(skipped.reason)}", WIDTH) for skipped in plan.skipped]
    return [f"skipped: {count(len(lines), 'target')}", *lines] if lines else []


def plan_json(plan: Plan) -> Json:
    """What `release plan --json` prints. The plan itself, the file that promote takes, is `plan_to_json`."""
    return {
        "format_version": plan.format_version,
        "plan": plan_digest(plan),
        "release": str(plan.release),
        "digest": plan.digest,
        "created_at": to_json(plan.created_at),
        "expires_at": to_json(plan.expires_at),
        "has_changes": has_changes(plan),
        "waves": [_wave_json(wave) for wave in plan.waves],
        "targets": [
            {
                "client": target.id.owner,
                "account": target.account,
                "region": target.id.region,
                "wave": plan.waves[plan.wave_of(target.id)].name,
                "effect": target.effect.value,
                "effect_digest": target.effect_digest,
            }
            for target in plan.targets
        ],
        "groups": [to_json(group) for group in plan.groups],
        "skipped": [
            {"client": s.id.owner, "region": s.id.region, "reason": plain(s.reason)} for s in plan.skipped
        ],
        "next": f"release promote {plan.release}",
    }


def _wave_json(wave: Wave) -> Json:
    return {
        "number": wave.number,
        "name": wave.name,
        "kind": wave.kind.value,
        "targets": [str(target) for target in wave.targets],
        "bake_seconds": wave.bake // timedelta(seconds=1),
        "tolerance": wave.tolerance,
        "max_in_flight": wave.max_in_flight,
        "max_skipped": wave.max_skipped,
        "pace": wave.pace.value,
        "on_fail": wave.on_fail.value,
    }
