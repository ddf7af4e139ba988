"""A plan with everything in it that a person should know first, compared whole with files that a person has read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.model.fleet import Freeze, Window
from pipeline.model.ids import TargetId
from pipeline.model.plan import CanaryDraw, Plan, PlannedTarget, SkippedTarget, Stratum, TargetEta, TargetSkew
from pipeline.model.waiver import SignedWaiver, Waiver
from pipeline.views.plan import plan_json, plan_text
from pipeline.views.plan_markdown import plan_markdown, plan_mermaid
from pipeline.views.plan_sentences import draw_sentence, expected_end
from tests.golden import matches_golden
from tests.views.worlds import CANARY, RELEASE, SECOND, SERVICE, START, THIRD, a_plan, at

GOLDEN = Path(__file__).parents[1] / "golden" / "views"
NIGHT = Window(days=("tue", "thu"), start="22:00", end="04:00", timezone="Australia/Sydney")
YEARS_END = Freeze(
    reason="year's end \x1b[31m", start=START + timedelta(days=30), end=START + timedelta(days=40)
)
AUDIT = Freeze(reason="their audit", start=START, end=START + timedelta(days=3), client="spruce")
DRAW = CanaryDraw(
    seed="intake@1.2.0 sha256:" + "15" * 32,
    strata=(
        Stratum(name="canary / us-east-1", clients=("ash", "birch", "fir"), canaries=("birch",)),
        Stratum(name="early / eu-west-1 / large", clients=("cedar", "spruce", "willow"), canaries=("cedar",)),
        Stratum(name="late / us-east-1", clients=("acme",)),
    ),
    canaries=("birch", "cedar"),
    randomised=True,
    attempts=17,
    uncovered=("no canary client is in ap-southeast-2, where 2 clients will be changed",),
)


WAIVER = Waiver(
    release=RELEASE,
    client="acme",
    logical_id="Forms",
    physical_id="acme-forms",
    rule="removal",
    reason="moved to S3",
    approver="ann",
    expires=START + timedelta(days=8),
)


def _timed(target: PlannedTarget) -> PlannedTarget:
    if target.id.owner == "elm":
        return replace(target, window=NIGHT, freezes=(YEARS_END,))
    if target.id.owner == "spruce":
        return replace(target, freezes=(AUDIT, YEARS_END))
    return replace(target, freezes=(YEARS_END,))


def _eta(target: TargetId, wave: int, hours: float) -> TargetEta:
    start = START + timedelta(hours=hours)
    return TargetEta(id=target, wave=wave, start=start, finish=start + timedelta(minutes=4))


def a_held_plan() -> Plan:
    plan = a_plan()
    service, canary, second, third = plan.waves
    late = replace(third, name="wave-4", targets=())
    return replace(
        plan,
        targets=tuple(map(_timed, plan.targets)),
        waves=(
            service,
            replace(canary, extend=timedelta(hours=1), min_requests=100),
            replace(second, approval=True),
            third,
            late,
        ),
        skipped=(*plan.skipped, SkippedTarget(id=at("yew"), reason="is blocked by the guard: Forms …")),
        draw=DRAW,
        skew=(
            TargetSkew(id=at("hazel"), running="intake@0.7.0", behind=6),
            TargetSkew(id=at("oak", "ap-southeast-2"), running="intake@1.0.0", behind=4),
            TargetSkew(id=at("acme"), running="intake@1.1.0", behind=1),
        ),
        etas=(
            _eta(SERVICE, 0, 0),
            *(_eta(target, 1, 0.1 + n / 10) for n, target in enumerate(CANARY)),
            *(_eta(target, 2, 2) for target in SECOND[:3]),
            _eta(THIRD[0], 3, 5),
            _eta(SECOND[3], 4, 33),
            _eta(THIRD[1], 4, 72),
        ),
        rollback_safe=False,
        waivers=(SignedWaiver(waiver=WAIVER, key="arn:aws:kms:…", signature="c2ln"),),
        notes=("ann waived removal of Forms at acme/us-east-1 until 2026-12-01 00:00Z: moved to S3",),
    )


PAGES: dict[str, Callable[[], str]] = {
    "plan-held.txt": lambda: plan_text(a_held_plan()),
    "plan-held.json": lambda: json.dumps(plan_json(a_held_plan()), indent=2) + "\n",
    "plan-held.md": lambda: plan_markdown(a_held_plan()),
    "plan-held.mmd": lambda: plan_mermaid(a_held_plan()),
}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_as_a_person_last_read_it(name: str) -> None:
    matches_golden(GOLDEN / name, PAGES[name]())


def test_no_line_of_text_is_wider_than_a_terminal_but_notes_and_none_holds_an_escape() -> None:
    lines = plan_text(a_held_plan()).splitlines()

    assert all(line.isprintable() for line in lines)
    assert max(len(line) for line in lines if not line.startswith("note:")) <= 100


def test_a_plan_without_a_draw_or_estimates_is_shown_all_the_same() -> None:
    text = plan_text(a_plan())

    assert "canary:" not in text
    assert "done by" not in text
    assert expected_end(a_plan()) is None
    assert plan_mermaid(a_plan()).splitlines()[-1] == "  axisFormat %d %H:%M"


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (DRAW, "canary: 2 of 7 clients drawn by lot inside strata, at draw 17"),
        (
            replace(DRAW, randomised=False),
            "canary: 2 of 7 clients chosen, because no draw by lot covered as much",
        ),
        (
            replace(
                DRAW,
                randomised=False,
                strata=(Stratum(name="s", clients=("birch", "cedar"), canaries=("cedar", "birch")),),
            ),
            "canary: 2 of 2 clients; nothing was left to lot",
        ),
    ],
)
def test_how_the_canary_was_found_is_told_honestly(draw: CanaryDraw, sentence: str) -> None:
    assert draw_sentence(draw) == sentence


def test_a_plan_for_thousands_stays_a_page() -> None:
    plan = a_held_plan()
    many = tuple(replace(plan.targets[3], id=at(f"client-{n}"), window=NIGHT) for n in range(3000))
    crowd = replace(
        plan,
        targets=many,
        waves=(*plan.waves[:2], replace(plan.waves[2], targets=tuple(t.id for t in many)), *plan.waves[3:]),
        etas=tuple(_eta(t.id, 4, 40) for t in many),
        skew=tuple(TargetSkew(id=t.id, running="intake@1.0.0", behind=9) for t in many),
        skipped=tuple(SkippedTarget(id=at(f"gone-{n}"), reason="is suspended") for n in range(300)),
    )

    assert len(plan_text(replace(crowd, skipped=())).splitlines()) < 70
    assert len(plan_markdown(crowd)) < 50_000
