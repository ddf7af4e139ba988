"""Room: adapters/simulated. The ports Stacks, Alarms, Health and Smoke, each over one SimulatedCloud.

They add nothing: every call goes through the cloud, which lets faults strike it and keeps the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.adapters.http_health import host_matches
from pipeline.adapters.simulated import change_sets, changing
from pipeline.adapters.simulated.alarms import reading_of
from pipeline.adapters.simulated.formation import Formation
from pipeline.errors import CredentialsRefused, IntegrityBroken, ReleaseError
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import Digest, digest
from pipeline.model.stack import ChangeSetView, StackSnapshot
from pipeline.ports import ChangeSetRequest, HealthReading, Place

if TYPE_CHECKING:
    from pipeline.adapters.simulated.cloud import SimulatedCloud

__all__ = ["SimulatedAlarms", "SimulatedHealth", "SimulatedSmoke", "SimulatedStacks"]

_OTHER_CODE = digest(sha256_hex(b"some other code"))
_WELL = HealthReading(healthy=True, readable=True, reason="")


def _unread(reason: str) -> HealthReading:
    return HealthReading(healthy=False, readable=False, reason=reason)


class SimulatedStacks:
    """ports.Stacks."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    def describe(self, place: Place, stack: str) -> StackSnapshot | None:
        return self._cloud.call("describe", place, lambda f: f.describe(stack))

    def create_change_set(self, place: Place, request: ChangeSetRequest) -> tuple[str, str]:
        cloud = self._cloud

        def effect(formation: Formation) -> tuple[str, str]:
            release = cloud.scripted(request.template)
            return change_sets.create_change_set(formation, request, release)

        return cloud.mutate(
            "create_change_set",
            place,
            effect,
            stack=request.stack,
            change_set=request.name,
            token=request.token,
        )

    def describe_change_set(self, place: Place, stack: str, change_set: str) -> ChangeSetView:
        """Page by page: each page is a call of its own, which may fail, and then nothing was read."""
        view = self._cloud.call(
            "describe_change_set", place, lambda f: f.describe_change_set(stack, change_set)
        )
        for _ in range((len(view.changes) - 1) // self._cloud.page):
            self._cloud.call("describe_change_set", place, lambda _: None)
        return view

    def list_change_sets(self, place: Place, stack: str) -> tuple[str, ...]:
        return self._cloud.call("list_change_sets", place, lambda f: f.list_change_sets(stack))

    def delete_change_set(self, place: Place, stack: str, change_set: str) -> None:
        self._cloud.mutate(
            "delete_change_set",
            place,
            lambda f: change_sets.delete_change_set(f, stack, change_set),
            stack=stack,
            change_set=change_set,
        )

    def execute_change_set(self, place: Place, stack: str, change_set: str, token: str) -> None:
        ill_of = self._cloud.ill_in(place)
        self._cloud.mutate(
            "execute_change_set",
            place,
            lambda f: changing.execute(f, stack, change_set, token, ill_of),
            stack=stack,
            change_set=change_set,
            token=token,
        )

    def operation(self, place: Place, stack: str, token: str) -> StackSnapshot | None:
        return self._cloud.call("operation", place, lambda f: f.operation(stack, token))

    def template(self, place: Place, stack: str) -> Digest:
        return self._cloud.call("template", place, lambda f: f.template(stack))

    def function_digests(self, place: Place, stack: str, logical_ids: Sequence[str]) -> Mapping[str, Digest]:
        def effect(formation: Formation) -> Mapping[str, Digest]:
            found, content = formation.find(stack), formation.content(stack)
            if found is None or content is None:
                return {}
            broken = "code" in self._cloud.broken_now(place, found)
            return {
                name: _OTHER_CODE if broken else code
                for name, code in content.release.functions
                if name in logical_ids
            }

        return self._cloud.call("function_digests", place, effect)

    def continue_update_rollback(self, place: Place, stack: str, token: str, skip: Sequence[str]) -> None:
        ill_of = self._cloud.ill_in(place)
        self._cloud.mutate(
            "continue_update_rollback",
            place,
            lambda f: changing.continue_update_rollback(f, stack, token, skip, ill_of),
            stack=stack,
            token=token,
        )

    def failed_resources(self, place: Place, stack: str) -> Mapping[str, str]:
        return self._cloud.call("failed_resources", place, lambda f: f.failed_resources(stack))

    def physical_ids(self, place: Place, stack: str, logical_ids: Sequence[str]) -> Mapping[str, str]:
        return self._cloud.call("physical_ids", place, lambda f: f.physical_ids(stack, logical_ids))


class SimulatedAlarms:
    """ports.Alarms. Every stack that stands has the alarm STACK-errors, and whatever series were scripted."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    def read(self, place: Place, stack: str, ignored: Sequence[str] = ()) -> HealthReading:
        healthy, readable, reason = reading_of(self._states(place, stack), frozenset(ignored))
        return HealthReading(healthy=healthy, readable=readable, reason=reason) if reason else _WELL

    def states(self, place: Place, stack: str) -> Mapping[str, str]:
        return self._states(place, stack)

    def _states(self, place: Place, stack: str) -> dict[str, str]:
        def effect(formation: Formation) -> dict[str, str]:
            found = formation.find(stack)
            return {} if found is None else self._cloud.alarm_states(place, found)

        return self._cloud.call("alarms", place, effect)


class SimulatedHealth:
    """ports.Health. An address belongs to the stack that has it as the beginning of an output."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    def call(self, url: str, expect: int, allowed_hosts: tuple[str, ...]) -> HealthReading:
        host = urlsplit(url).hostname or ""
        if not any(host_matches(pattern, host) for pattern in allowed_hosts):
            return _unread(f"{host} is not an allowed host")
        found = self._cloud.stack_behind(url)
        if found is None:
            return _unread(f"{host} does not answer")
        place, stack = found

        def effect(_: Formation) -> HealthReading:
            status = 500 if "health" in self._cloud.broken_now(place, stack) else 200
            if status == expect:
                return _WELL
            return HealthReading(healthy=False, readable=True, reason=f"{url} answers {status}, not {expect}")

        try:
            return self._cloud.call("health", place, effect)
        except ReleaseError as fault:
            # No AWS is asked here: whatever goes wrong on the way to an address, it has not been read.
            return _unread(fault.problem)


class SimulatedSmoke:
    """ports.Smoke. A function answers as the breaks `smoke` and `no smoke` of what runs say."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    def call(self, place: Place, stack: str, logical_id: str) -> HealthReading:
        def effect(formation: Formation) -> HealthReading:
            found, content = formation.find(stack), formation.content(stack)
            if found is None or content is None:
                return _unread(f"the stack has no Lambda function {logical_id}")
            if dict(content.release.resources).get(logical_id) != "AWS::Lambda::Function":
                return _unread(f"the stack has no Lambda function {logical_id}")
            broken = self._cloud.broken_now(place, found)
            if "no smoke" in broken:
                return _unread(f"{logical_id} ended with an error (Runtime.ExitError)")
            if "smoke" in broken:
                return HealthReading(healthy=False, readable=True, reason=f"{logical_id}: not healthy")
            return _WELL

        try:
            return self._cloud.call("smoke", place, effect)
        except (IntegrityBroken, CredentialsRefused):
            raise
        except ReleaseError as fault:
            return _unread(fault.problem)
