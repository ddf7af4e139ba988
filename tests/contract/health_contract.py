"""What every implementation of ports.Health has to do. Subclasses give the fixture `door`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.ports import Health

__all__ = ["Door", "HealthContract"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """health: under test. well, sick: addresses that answer 200 and 500. silent: one where nobody answers.

    allowed: hosts that all three belong to.
    """

    health: Health
    well: str
    sick: str
    silent: str
    allowed: tuple[str, ...]


class HealthContract:
    def test_the_expected_status_is_healthy(self, door: Door) -> None:
        found = door.health.call(door.well, 200, door.allowed)

        assert (found.healthy, found.readable) == (True, True)

    def test_another_status_than_the_expected_one_is_not_healthy_and_named(self, door: Door) -> None:
        found = door.health.call(door.sick, 200, door.allowed)

        assert (found.healthy, found.readable) == (False, True)
        assert "500" in found.reason

    def test_the_expected_status_may_be_any(self, door: Door) -> None:
        assert door.health.call(door.sick, 500, door.allowed).healthy
        assert not door.health.call(door.well, 204, door.allowed).healthy

    def test_where_nobody_answers_nothing_is_read(self, door: Door) -> None:
        found = door.health.call(door.silent, 200, door.allowed)

        assert (found.healthy, found.readable) == (False, False)
        assert found.reason

    def test_a_host_that_is_not_allowed_is_never_called(self, door: Door) -> None:
        for allowed in ((), ("*.example.org",), ("example",)):
            found = door.health.call(door.well, 200, allowed)
            assert (found.healthy, found.readable) == (False, False)

    def test_an_address_without_a_host_is_not_read(self, door: Door) -> None:
        for url in ("", "status", "https://", "https:///status"):
            found = door.health.call(url, 200, door.allowed)
            assert (found.healthy, found.readable) == (False, False)
