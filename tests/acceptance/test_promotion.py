"""Promotion through the waves: bakes, failures, what is left untouched, and every way back."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable

import pytest

from tests.acceptance.company import Company, Service

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("acceptance-promotion")]

NewService = Callable[..., Service]
CANARY = "ada/us-east-1"


def test_a_bake_is_a_stored_deadline_and_the_same_command_goes_on_after_it(
    company: Company, service: NewService
) -> None:
    lamp = service(canary={"bake": "5s"})
    release = lamp.proven("1.0.0")
    baking = company.release("promote", release)
    began = time.monotonic()
    assert "canary is baking until 20" in baking.out
    again = company.release("promote", release)
    assert again.out == baking.out
    assert [wave["state"] for wave in lamp.status("1.0.0")["waves"]] == ["BAKING", "PENDING"]
    assert [target for target, count in lamp.touched().items() if count] == [CANARY]
    time.sleep(max(0.0, began + 5 - time.monotonic()))
    company.release("promote", release)
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)


def test_a_promotion_stops_where_it_was_asked_to_and_a_finished_one_is_left_alone(
    company: Company, service: NewService
) -> None:
    lamp = service()
    release = lamp.proven("1.0.0")
    company.release("promote", release, "--until", "wave:1")
    assert [target for target, count in lamp.touched().items() if count] == [CANARY]
    company.release("promote", release)
    done = company.release("promote", release)
    assert "SUCCEEDED already" in done.err
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)
    events = company.release("history", release, "--json").json["events"]
    company.release("promote", release)
    assert company.release("history", release, "--json").json["events"] == events


def test_a_sick_canary_is_rolled_back_by_itself_and_nobody_else_is_touched(
    company: Company, service: NewService
) -> None:
    lamp = service()
    old = lamp.everywhere("1.0.0")
    release = lamp.proven("1.1.0", sick_at=["ada"])
    failed = company.release("promote", release, "--until", "done", code=3)
    assert f"{release} was rolled back" in failed.err
    assert "Alarm" in failed.err
    assert set(lamp.observed().values()) == {old}
    assert lamp.touched() == {**dict.fromkeys(lamp.targets(), 1), CANARY: 3}


def test_a_first_creation_that_fails_clears_itself_and_the_next_release_goes_through(
    company: Company, service: NewService
) -> None:
    lamp = service()
    release = lamp.proven("1.0.0", broken_at=["ada"])
    failed = company.release("promote", release, "--until", "done", code=3)
    assert "Unmakeable" in failed.err or "VisibilityTimeout" in failed.err
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 0)
    mended = lamp.everywhere("1.0.1")
    assert set(lamp.observed().values()) == {mended}


def test_a_wave_over_its_tolerance_halts_and_the_person_on_call_rolls_it_back(
    company: Company, service: NewService
) -> None:
    lamp = service(sizes=[1, "rest"])
    old = lamp.everywhere("1.0.0")
    release = lamp.proven("1.1.0", sick_at=["bee", "cat", "dog"])
    halted = company.release("promote", release, "--until", "done", code=3)
    assert f"release rollback {release} --wave 2" in halted.err
    status = lamp.status("1.1.0")
    assert [wave["state"] for wave in status["waves"]] == ["PASSED", "FAILED", "PENDING"]
    sick = {f"{t['client']}/{t['region']}" for t in status["targets"] if t["state"] == "FAILED"}
    assert len(sick) == 1
    assert lamp.observed() == {
        **dict.fromkeys(lamp.targets(), old),
        **dict.fromkeys([CANARY, *sick], release),
    }

    company.release("--yes", "rollback", release, "--wave", "2", "--reason", "the phones ring")
    assert lamp.observed() == {**dict.fromkeys(lamp.targets(), old), CANARY: release}
    waves = lamp.status("1.1.0")["waves"]
    assert [(wave["name"], wave["state"], wave["at_risk"]) for wave in waves] == [
        ("canary", "PASSED", True),
        ("wave-2", "ROLLED_BACK", False),
        ("wave-3", "PENDING", False),
    ]

    newer = lamp.everywhere("1.2.0")
    assert set(lamp.observed().values()) == {newer}
    company.release("--yes", "rollback", newer, "--all", "--reason", "recalled")
    assert lamp.observed() == {**dict.fromkeys(lamp.targets(), old), CANARY: release}


def test_a_wave_within_its_tolerance_goes_on(company: Company, service: NewService) -> None:
    lamp = service(tolerance=1)
    release = lamp.proven("1.0.0", sick_at=["cat"])
    company.release("promote", release, "--until", "done")
    states = lamp.states("1.0.0")
    assert states == {**dict.fromkeys(lamp.targets(), "HEALTHY"), "cat/eu-west-1": "FAILED"}


def test_one_target_alone_can_be_rolled_back(company: Company, service: NewService) -> None:
    lamp = service()
    old = lamp.everywhere("1.0.0")
    release = lamp.everywhere("1.1.0")
    command = ("--yes", "rollback", release, "--target", "bee/eu-west-1", "--reason", "only there")
    company.release(*command)
    assert lamp.observed() == {**dict.fromkeys(lamp.targets(), release), "bee/eu-west-1": old}


def test_two_regions_of_one_client_are_never_in_flight_together(
    company: Company, service: NewService
) -> None:
    lamp = service(max_in_flight=10)
    lamp.everywhere("1.0.0", pause=0.3)
    spans = []
    for target in ("bee/us-east-1", "bee/eu-west-1"):
        times = [event["Timestamp"] for event in lamp.events(target)]
        spans.append((min(times), max(times)))
    first, second = sorted(spans)
    assert first[1] <= second[0]


def test_the_services_own_account_comes_first_and_a_sick_one_stops_everything(company: Company) -> None:
    lamp = company.service("lamp", service={"bake": "0s"})
    good = lamp.proven("1.0.0", own_stack=True)
    company.release("promote", good, "--until", "wave:0")
    assert [lamp.finished("@lamp/us-east-1"), *lamp.touched().values()] == [1, 0, 0, 0, 0, 0]
    company.release("promote", good, "--until", "done")
    assert [lamp.finished("@lamp/us-east-1"), *lamp.touched().values()] == [1, 1, 1, 1, 1, 1]
    sick = lamp.proven("1.1.0", own_stack=True, sick_at=["lamp"])
    company.release("promote", sick, "--until", "done", code=3)
    assert [lamp.finished("@lamp/us-east-1"), *lamp.touched().values()] == [3, 1, 1, 1, 1, 1]
    assert set(lamp.observed().values()) == {good}


def test_a_second_release_of_a_service_waits_for_the_one_under_way(
    company: Company, service: NewService
) -> None:
    lamp = service(canary={"bake": "1h"})
    first = lamp.proven("1.0.0")
    company.release("promote", first)
    second = lamp.proven("1.1.0")
    refused = company.release("promote", second, code=5)
    assert f"{first} is under way" in refused.err
    company.release("halt", first, "--reason", "make room")
    company.release("promote", first, code=3)
    company.release("promote", second)
    assert lamp.status("1.0.0")["run"]["state"] == "SUPERSEDED"


def test_a_rollback_without_a_terminal_names_the_exact_command(company: Company, service: NewService) -> None:
    lamp = service()
    release = lamp.everywhere("1.0.0")
    refused = company.start("rollback", release, "--all", "--reason", "it's late").answer(2)
    assert "There is no terminal to ask" in refused.err
    command = re.search(r"run `(release .*)`", refused.err)
    assert command is not None
    assert shlex.split(command[1]) == [
        "release",
        "--yes",
        "rollback",
        release,
        "--all",
        "--reason",
        "it's late",
    ]
    assert set(lamp.observed().values()) == {release}
    company.release(*shlex.split(command[1])[1:], code=11)
    assert lamp.states("1.0.0") == dict.fromkeys(lamp.targets(), "QUARANTINED")
