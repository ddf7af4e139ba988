"""Pages that people read, compared whole with files that a person has read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.errors import ConfigInvalid, ReleaseHalted
from pipeline.model import event as e
from pipeline.model.canonical import Json
from pipeline.model.ids import TargetId
from pipeline.model.run_state import RunState, fold_run
from pipeline.model.target_event import Orphan
from pipeline.model.target_state import Phase, TargetState
from pipeline.views.errors import error_json, error_text
from pipeline.views.fleet import FleetRow, fleet_json, fleet_text
from pipeline.views.history import history_json, history_text
from pipeline.views.markdown import status_markdown
from pipeline.views.plan import plan_json, plan_text
from pipeline.views.status import status_json, status_text
from tests.golden import matches_golden
from tests.views.worlds import (
    NOW,
    RELEASE,
    SECOND,
    SERVICE,
    START,
    a_plan,
    entries,
    halted_run,
    halted_targets,
    history_of,
    run_events,
    sha,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "views"
CLIENTS = (
    "acme",
    "aspen",
    "birch",
    "cedar",
    "elm",
    "hazel",
    "juniper",
    "linden",
    "maple",
    "oak",
    "spruce",
    "willow",
)


def as_text(document: Json) -> str:
    return json.dumps(document, indent=2) + "\n"


def the_fleet() -> list[FleetRow]:
    def row(client: str, region: str, service: str, observed: str, note: str = "") -> FleetRow:
        return FleetRow(
            client=client,
            account="000000000100",
            region=region,
            service=service,
            intended=f"{service}@1.3.0" if service == "intake" else "notify@2.0.1",
            observed=observed,
            note=note,
        )

    rows = [
        row("@intake", "us-east-1", "intake", "intake@1.3.0"),
        row("@notify", "us-east-1", "notify", "notify@2.0.1"),
    ]
    rows += [row(client, "us-east-1", "intake", "intake@1.3.0") for client in reversed(CLIENTS)]
    rows += [row(client, "us-east-1", "notify", "notify@2.0.1") for client in CLIENTS[::2]]
    lagging = row("acme", "eu-west-1", "intake", "intake@1.2.0", "pinned until 2026-12-31: their audit")
    rows.append(replace(lagging, behind=2))
    rows.append(replace(row("acme", "ap-southeast-2", "intake", ""), account="", note="could not be read"))
    return rows


def baking() -> RunState:
    return fold_run(
        entries(
            "release/intake@1.2.0",
            e.PlanFixed(plan=sha(41), waves=4),
            e.WaveStarted(wave=0),
            e.WaveBaking(wave=0, until=START + timedelta(minutes=20)),
        )
    )


def waiting() -> RunState:
    """Paused, with a wave that waits for an approval, and somebody in a hurry."""
    return fold_run(
        entries(
            "release/intake@1.2.0",
            e.PlanFixed(plan=sha(41), waves=4),
            e.WaveStarted(wave=0),
            e.WavePassed(wave=0),
            e.LaneAsked(lane=e.Lane.FULL, reason="late", skips=("wave 1 (canary): its bake",)),
            e.ApprovalGiven(
                subject="lane:full", plan=sha(41), by="sso:kim@example.com", expires=START + timedelta(days=1)
            ),
            e.WaveGated(
                wave=1, gate=e.Gate.APPROVAL, reason="somebody else", deadline=START + timedelta(days=7)
            ),
            e.RunPaused(reason="lunch", by="sso:lee@example.com", deadline=START + timedelta(days=7)),
        )
    )


def owing() -> dict[TargetId, TargetState]:
    """One of the healthy ones could not be protected, which somebody should look at."""
    unprotected = e.TargetUnprotected(reason="AccessDenied for SetStackPolicy")
    return {**halted_targets(), SERVICE: history_of(SERVICE, e.TargetHealthy(changed=True), unprotected)}


def a_refusal() -> ConfigInvalid:
    return ConfigInvalid(
        "2 faults in fleet.toml",
        state="nothing was changed",
        remedy="correct them and run the same command again",
        details=("fleet.toml: client[0].account: quote it", "fleet.toml: a\x1b[2Jb"),
    )


PAGES: dict[str, Callable[[], str]] = {
    "status-halted.txt": lambda: status_text(RELEASE, a_plan(), halted_run(), halted_targets(), NOW),
    "status-halted.json": lambda: as_text(
        status_json(RELEASE, a_plan(), halted_run(), halted_targets(), NOW)
    ),
    "status-halted.md": lambda: status_markdown(RELEASE, a_plan(), halted_run(), halted_targets(), NOW),
    "status-baking.txt": lambda: status_text(RELEASE, a_plan(), baking(), {}, NOW),
    "status-built.txt": lambda: status_text(RELEASE, None, fold_run(run_events()[:2]), {}, NOW),
    "status-waiting.txt": lambda: status_text(RELEASE, a_plan(), waiting(), owing(), NOW),
    "status-waiting.json": lambda: as_text(status_json(RELEASE, a_plan(), waiting(), owing(), NOW)),
    "plan.txt": lambda: plan_text(a_plan()),
    "plan.json": lambda: as_text(plan_json(a_plan())),
    "fleet.txt": lambda: fleet_text(the_fleet()),
    "fleet.json": lambda: as_text(fleet_json(the_fleet())),
    "history.txt": lambda: history_text(run_events(), a_plan()),
    "history.json": lambda: as_text(history_json(run_events()[:4])),
    "error.txt": lambda: error_text(a_refusal()),
    "error.json": lambda: as_text(error_json(a_refusal())),
}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_as_a_person_last_read_it(name: str) -> None:
    matches_golden(GOLDEN / name, PAGES[name]())


@pytest.mark.parametrize("name", [name for name in PAGES if name.endswith(".txt")])
def test_no_line_of_text_is_wider_than_a_terminal_or_holds_an_escape(name: str) -> None:
    lines = PAGES[name]().splitlines()
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= (120 if name.startswith("history") else 100)
    assert len(lines) <= 50


def test_a_short_error_has_neither_state_nor_hint() -> None:
    assert error_text(ReleaseHalted("halted")) == "error: halted [E301]\n"


def test_a_wide_fleet_becomes_a_list() -> None:
    rows = [
        FleetRow(
            client="acme",
            account="",
            region="us-east-1",
            service=f"service-number-{n}",
            intended="",
            observed="",
        )
        for n in range(9)
    ]
    lines = fleet_text(rows).splitlines()
    assert lines[:2] == [
        "  target          service           runs",
        "  acme/us-east-1  service-number-0  none",
    ]
    assert fleet_text([]) == "the fleet is empty\n"


def test_many_failing_targets_are_cut_so_that_the_next_command_stays_on_the_screen() -> None:
    crowd = {
        TargetId(f"client-{n:03d}", "us-east-1"): TargetState(
            phase=Phase.FAILED, release=str(RELEASE), reason="x" * 400
        )
        for n in range(200)
    }
    lines = status_text(RELEASE, a_plan(), halted_run(), crowd, NOW).splitlines()
    assert len(lines) <= 40
    assert "  … and 190 more: release status intake@1.2.0 --json" in lines
    assert lines[-3:] == [
        "next: release resume intake@1.2.0 --reason TEXT",
        "  or: release retry intake@1.2.0 --reason TEXT",
        "  or: release rollback intake@1.2.0 --wave 2 --reason TEXT",
    ]
    assert len(status_markdown(RELEASE, a_plan(), halted_run(), crowd, NOW)) < 50_000


def test_a_target_that_a_later_release_has_claimed_no_longer_speaks_of_this_one() -> None:
    targets = halted_targets()
    targets[SECOND[0]] = replace(targets[SECOND[0]], release="intake@1.3.0", reason="of 1.3.0")
    document = status_json(RELEASE, a_plan(), halted_run(), targets, NOW)
    assert isinstance(document, dict)
    rows = [row for row in document["targets"] if (row["client"], row["region"]) == ("acme", "us-east-1")]
    assert rows == [
        {
            "client": "acme",
            "account": "000000000103",
            "region": "us-east-1",
            "wave": "wave-2",
            "state": "SUPERSEDED",
            "desired": "intake@1.2.0",
            "observed": "intake@1.2.0",
            "previous_good": None,
            "reason": None,
            "command": None,
            "owed": [],
        }
    ]


def test_what_somebody_owes_a_healthy_target_is_told() -> None:
    targets = halted_targets()
    targets[SECOND[0]] = replace(
        targets[SECOND[0]],
        drifted=("Form",),
        unprotected="AccessDenied",
        orphans=(Orphan(logical_id="Forms", resource_type="AWS::DynamoDB::Table", physical_id="f-1"),),
    )
    lines = status_text(RELEASE, a_plan(), halted_run(), targets, NOW).splitlines()
    told = lines[lines.index("to look at") + 1 :][:3]
    assert told == [
        "  acme/us-east-1  left out of a rollback, so that they differ from their template: Form",
        "  acme/us-east-1  not protected against deletion: AccessDenied",
        "  acme/us-east-1  kept outside the stack until a release takes them back in: Forms",
    ]
