"""What every inspection must tell of an account. A subclass gives `scene`."""

from __future__ import annotations

from typing import Protocol

import pytest

from pipeline.errors import AccountUnusable, RequestRefused
from pipeline.model.inspection import AlarmSeen, DriftStatus, ResourceDrift
from pipeline.ports import Inspection, Place

__all__ = ["STACK", "InspectionContract", "Scene"]

STACK = "svc-intake"


class Scene(Protocol):
    """One account with a stack that holds the SSM parameters A, B and C and the alarm `svc-intake-errors`."""

    inspection: Inspection
    place: Place

    def change_by_hand(self, logical_id: str) -> None:
        """Another value than the template's."""
        ...

    def delete_by_hand(self, logical_id: str) -> None: ...

    def set_alarm(self, state: str) -> None: ...

    def delete_alarm(self) -> None: ...

    def deploy_another(self) -> None:
        """One more stack in the same account and Region."""
        ...

    def close(self) -> None:
        """The account is closed, for good."""
        ...

    def wait(self) -> None:
        """A moment, for what is asynchronous."""
        ...


def compared(scene: Scene, *logical_ids: str) -> dict[str, ResourceDrift]:
    begun = scene.inspection.begin_drift(scene.place, STACK, logical_ids)
    for _ in range(200):
        found = scene.inspection.drift(scene.place, begun)
        if found is not None:
            assert [drift.logical_id for drift in found] == sorted(set(logical_ids))
            return {drift.logical_id: drift for drift in found}
        scene.wait()
    raise AssertionError("never came to an end")


class InspectionContract:
    @pytest.fixture
    def scene(self) -> Scene:
        raise NotImplementedError

    def test_an_account_that_opens_is_reached_and_a_closed_one_is_its_own_fault(self, scene: Scene) -> None:
        scene.inspection.reach(scene.place)
        scene.close()

        with pytest.raises(AccountUnusable):
            scene.inspection.reach(scene.place)

    def test_nothing_was_changed_by_hand_in_a_stack_as_it_was_deployed(self, scene: Scene) -> None:
        found = compared(scene, "B", "A")

        assert {name: drift.status for name, drift in found.items()} == {
            "A": DriftStatus.IN_SYNC,
            "B": DriftStatus.IN_SYNC,
        }

    def test_what_was_changed_and_what_was_deleted_by_hand_is_told_apart(self, scene: Scene) -> None:
        scene.change_by_hand("A")
        scene.delete_by_hand("B")

        found = compared(scene, "A", "B", "C")

        assert {name: drift.status for name, drift in found.items()} == {
            "A": DriftStatus.MODIFIED,
            "B": DriftStatus.DELETED,
            "C": DriftStatus.IN_SYNC,
        }
        assert found["A"].properties == ("/Value",)

    def test_only_what_was_asked_for_is_answered(self, scene: Scene) -> None:
        scene.change_by_hand("A")

        assert set(compared(scene, "C")) == {"C"}

    def test_a_comparison_of_a_stack_that_is_not_there_is_refused(self, scene: Scene) -> None:
        with pytest.raises(RequestRefused):
            scene.inspection.begin_drift(scene.place, "svc-other", ("A",))

    @pytest.mark.parametrize("state", ["OK", "ALARM", "INSUFFICIENT_DATA"])
    def test_an_alarm_is_told_with_its_state(self, scene: Scene, state: str) -> None:
        scene.set_alarm(state)

        assert scene.inspection.alarms(scene.place, STACK) == (
            AlarmSeen(name=f"{STACK}-errors", state=state),
        )

    def test_an_alarm_that_was_deleted_by_hand_has_no_state(self, scene: Scene) -> None:
        scene.delete_alarm()

        assert scene.inspection.alarms(scene.place, STACK) == (AlarmSeen(name=f"{STACK}-errors", state=""),)

    def test_every_stack_takes_room(self, scene: Scene) -> None:
        before = scene.inspection.room(scene.place)
        scene.deploy_another()
        after = scene.inspection.room(scene.place)

        assert after.stacks == before.stacks + 1
        assert after.limit == before.limit >= after.stacks
