"""Runners that die, sleep, race and are stopped: no target is ever deployed twice, and the same command goes on."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable

import pytest

from tests.acceptance.company import Company, Service

pytestmark = [pytest.mark.local_aws, pytest.mark.processes, pytest.mark.xdist_group("acceptance-runners")]

NewService = Callable[..., Service]


def test_a_runner_killed_at_random_moments_finishes_with_one_deployment_per_target(
    company: Company, service: NewService
) -> None:
    lamp = service(max_in_flight=2)
    lamp.everywhere("1.0.0")
    release = lamp.proven("1.1.0", pause=0.4)
    seed = time.time_ns()
    moments = random.Random(seed)
    for _ in range(4):
        runner = company.start("promote", release)
        runner.until("  ", or_its_end=True)
        time.sleep(moments.uniform(0, 0.8))
        runner.kill()
    company.release("promote", release, "--until", "done")
    assert set(lamp.observed().values()) == {release}, f"seed {seed}"
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 2), f"seed {seed}"


def test_a_runner_killed_during_first_creations_finishes_with_one_stack_per_target(
    company: Company, service: NewService
) -> None:
    lamp = service(max_in_flight=4)
    release = lamp.proven("1.0.0", pause=0.4)
    seed = time.time_ns()
    moments = random.Random(seed)
    for _ in range(3):
        runner = company.start("promote", release)
        runner.until("  ", or_its_end=True)
        time.sleep(moments.uniform(0, 0.8))
        runner.kill()
    company.release("promote", release, "--until", "done")
    assert set(lamp.observed().values()) == {release}, f"seed {seed}"
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1), f"seed {seed}"


def test_a_rollback_stops_the_promotion_and_killed_half_way_is_finished_by_the_same_command(
    company: Company, service: NewService
) -> None:
    lamp = service()
    old = lamp.everywhere("1.0.0")
    release = lamp.proven("1.1.0", pause=2.0)
    promotion = company.start("promote", release, "--until", "done")
    promotion.until(" AWS executes ", times=3)
    command = ("--yes", "rollback", release, "--all", "--reason", "recalled")
    runner = company.start(*command)
    # The lease goes a moment before the order is written; then the promotion knows only that it was outdated.
    assert re.search(r"stopped by a rollback .*: recalled|taken over|no longer", promotion.answer(5).err)
    runner.until(" began")
    time.sleep(0.2)
    runner.kill()
    company.release(*command)
    assert set(lamp.observed().values()) == {old}
    # How far the promotion came before it was stopped is a matter of time; there and back, or not at all, is not.
    counts = lamp.touched()
    assert set(counts.values()) <= {1, 3}
    assert counts["ada/us-east-1"] == 3


def test_a_halt_from_another_process_lets_only_what_is_in_flight_finish(
    company: Company, service: NewService
) -> None:
    lamp = service(max_in_flight=2)
    lamp.everywhere("1.0.0")
    release = lamp.proven("1.1.0", pause=1.0)
    runner = company.start("promote", release)
    runner.until(" AWS executes ", times=3)
    company.release("halt", release, "--reason", "the phones ring")
    halted = runner.answer(3)
    assert "halted" in halted.err
    assert "the phones ring" in halted.err
    reached = [target for target, count in lamp.touched().items() if count == 2]
    assert "ada/us-east-1" in reached
    assert len(reached) <= 3, "the canary, and the two that were in flight"
    assert "bee/eu-west-1" not in reached

    company.release("promote", release, code=3)
    assert [target for target, count in lamp.touched().items() if count == 2] == reached

    company.release("resume", release, "--reason", "it was the neighbour's phone")
    company.release("promote", release, "--until", "done")
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 2)


def test_a_second_runner_exits_5_and_names_the_one_that_holds_the_service(
    company: Company, service: NewService
) -> None:
    lamp = service()
    release = lamp.proven("1.0.0", pause=1.0)
    first = company.start("promote", release)
    first.until(" claimed for ")
    second = company.release("promote", release, code=5)
    assert re.search(rf"\S+@\S+:{first.pid}:\S* holds the lease service/{lamp.name} until 20", second.err)
    first.answer(0)
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)


def test_a_late_runner_that_wakes_after_a_take_over_finds_nothing_to_execute(
    company: Company, service: NewService
) -> None:
    lamp = service(max_in_flight=4)
    lamp.everywhere("1.0.0")
    release = lamp.proven("1.1.0", pause=0.5)
    late = company.start("promote", release, TIDEGATE_LEASE_SECONDS="2")
    late.until(" claimed for ")
    time.sleep(random.uniform(0, 0.5))
    late.fall_asleep()
    company.release("promote", release, code=5)
    time.sleep(2)
    company.release("promote", release, "--until", "done")
    finished = lamp.touched()
    late.send(signal.SIGCONT)
    woken = late.answer(5)
    assert "lease" in woken.err
    assert "claimed for" not in woken.err.split("lease")[-1]
    assert finished == lamp.touched() == dict.fromkeys(lamp.targets(), 2)
    assert set(lamp.observed().values()) == {release}


def test_a_runner_that_is_interrupted_stops_at_a_clean_checkpoint(
    company: Company, service: NewService
) -> None:
    lamp = service()
    release = lamp.proven("1.0.0", pause=0.5)
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        runner = company.start("promote", release)
        runner.until(" claimed for " if code == 130 else "  ")
        runner.send(number)
        assert "the same command goes on from here" in runner.answer(code).err
    company.release("promote", release, "--until", "done")
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)
