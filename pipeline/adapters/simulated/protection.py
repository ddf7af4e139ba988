"""Room: adapters/simulated. The Protection port over the simulated cloud, which honours what is set here.

It makes the calls that the real adapter makes, so that each can be kept from its answer. It never loosens anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.adapters.simulated.cloud import SimulatedCloud
from pipeline.adapters.simulated.formation import Formation
from pipeline.adapters.simulated.stack import Stack
from pipeline.decide.stack_policy import GUARDED_TYPES, denied, tightened
from pipeline.errors import NotFound
from pipeline.model.stack import ResourceChange
from pipeline.ports import Place

__all__ = ["SimulatedProtection"]


class SimulatedProtection:
    """ports.Protection. Nested stacks do not exist here."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    def protect(self, place: Place, stack: str, spare: frozenset[str] = frozenset()) -> None:
        policy, protected = self._cloud.call(
            "get_stack_policy", place, lambda formation: self._wanted(formation, stack, spare)
        )
        if policy is not None:
            text = policy.decode("ascii")
            self._cloud.mutate("set_stack_policy", place, lambda f: _set_policy(f, stack, text), stack=stack)
        if not protected:
            self._cloud.mutate(
                "update_termination_protection", place, lambda f: _protect(f, stack), stack=stack
            )

    def denied(self, place: Place, stack: str, changes: Sequence[ResourceChange]) -> tuple[str, ...]:
        policy = self._cloud.call("get_stack_policy", place, lambda f: _found(f, stack).policy)
        return denied(policy, changes)

    def _wanted(self, formation: Formation, name: str, spare: frozenset[str]) -> tuple[bytes | None, bool]:
        found, content = _found(formation, name), formation.content(name)
        resources = () if content is None else content.release.resources
        guarded = {logical for logical, kind in resources if kind in GUARDED_TYPES} - spare
        return tightened(found.policy, guarded), found.protected


def _found(formation: Formation, name: str) -> Stack:
    found = formation.find(name)
    if found is None:
        raise NotFound(f"there is no stack {name} to protect in {formation.place.account}")
    return found


def _set_policy(formation: Formation, name: str, policy: str) -> None:
    _found(formation, name).policy = policy
    formation.touched += 1


def _protect(formation: Formation, name: str) -> None:
    _found(formation, name).protected = True
    formation.touched += 1
