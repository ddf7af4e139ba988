"""What every implementation of ports.Alarms and ports.Smoke has to do. Subclasses give the fixture `bed`."""

from __future__ import annotations

import pytest

from tests.contract.cloud_bed import Bed

__all__ = ["AlarmsContract", "SmokeContract"]


class AlarmsContract:
    @pytest.fixture
    def stack(self, bed: Bed) -> str:
        """Every alarm of it is OK."""
        stack = bed.watched()
        for name in bed.alarm_names():
            bed.set_alarm(stack, name, "OK")
        return stack

    def test_alarms_that_are_ok_are_healthy_and_known_by_name(self, bed: Bed, stack: str) -> None:
        wanted = {f"{stack}-{name}": "OK" for name in bed.alarm_names()}

        assert bed.alarms.states(bed.place, stack) == wanted
        found = bed.alarms.read(bed.place, stack)
        assert (found.healthy, found.readable) == (True, True)

    @pytest.mark.parametrize("name", ["errors", "slow", "all"])
    def test_an_alarm_metric_or_composite_is_not_healthy(self, bed: Bed, stack: str, name: str) -> None:
        bed.needs(f"alarm {name}")
        bed.set_alarm(stack, name, "ALARM")

        found = bed.alarms.read(bed.place, stack)
        assert (found.healthy, found.readable) == (False, True)
        assert f"{stack}-{name}" in found.reason
        assert bed.alarms.states(bed.place, stack)[f"{stack}-{name}"] == "ALARM"

    @pytest.mark.parametrize("name", ["errors", "slow", "all"])
    def test_insufficient_data_is_not_readable(self, bed: Bed, stack: str, name: str) -> None:
        bed.needs(f"alarm {name}")
        bed.set_alarm(stack, name, "INSUFFICIENT_DATA")

        found = bed.alarms.read(bed.place, stack)
        assert (found.healthy, found.readable) == (False, False)
        assert f"{stack}-{name}" in found.reason

    def test_an_alarm_weighs_more_than_one_that_cannot_be_read(self, bed: Bed, stack: str) -> None:
        bed.set_alarm(stack, "errors", "INSUFFICIENT_DATA")
        bed.set_alarm(stack, "slow", "ALARM")

        found = bed.alarms.read(bed.place, stack)
        assert (found.healthy, found.readable) == (False, True)

    def test_an_alarm_that_is_to_be_ignored_does_not_count_and_every_other_does(
        self, bed: Bed, stack: str
    ) -> None:
        bed.set_alarm(stack, "errors", "ALARM")
        ignored = (f"{stack}-errors",)

        assert bed.alarms.read(bed.place, stack, ignored).healthy
        bed.set_alarm(stack, "slow", "ALARM")
        assert not bed.alarms.read(bed.place, stack, ignored).healthy


class SmokeContract:
    def test_a_check_that_says_yes_is_healthy(self, bed: Bed) -> None:
        found = bed.smoke.call(bed.place, *bed.smoking("well"))

        assert (found.healthy, found.readable) == (True, True)

    def test_a_check_that_says_no_is_not_healthy_and_named(self, bed: Bed) -> None:
        stack, function = bed.smoking("ill")

        found = bed.smoke.call(bed.place, stack, function)
        assert (found.healthy, found.readable) == (False, True)
        assert function in found.reason

    @pytest.mark.parametrize("how", ["raises", "odd"])
    def test_a_check_that_ends_in_an_error_or_says_something_else_is_not_readable(
        self, bed: Bed, how: str
    ) -> None:
        bed.needs(f"smoke {how}")
        stack, function = bed.smoking(how)

        found = bed.smoke.call(bed.place, stack, function)
        assert (found.healthy, found.readable) == (False, False)
        assert "a client's secret" not in found.reason

    def test_a_function_or_stack_that_is_not_there_is_not_readable(self, bed: Bed) -> None:
        stack, _ = bed.smoking("well")

        for name, function in ((stack, "SmokeNobody"), (bed.fresh(), "SmokeWell")):
            found = bed.smoke.call(bed.place, name, function)
            assert (found.healthy, found.readable) == (False, False)

    def test_what_is_no_function_is_not_invoked(self, bed: Bed) -> None:
        stack, _ = bed.smoking("well")

        found = bed.smoke.call(bed.place, stack, "Queue")
        assert (found.healthy, found.readable) == (False, False)
