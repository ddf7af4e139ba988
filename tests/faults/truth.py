"""The truth about the cloud, as the cloud tells it to nobody else: what took effect, what it destroyed, how a stack is.

The only place here that looks past the ports; it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.adapters.simulated.cloud import SimulatedCloud
from pipeline.adapters.simulated.witness import Call
from pipeline.ports import Place
from tests.faults.sight import Effect

__all__ = ["HOLDS_DATA", "effect_of_call", "sickness", "watch"]

HOLDS_DATA = frozenset({"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::RDS::DBInstance", "AWS::KMS::Key"})
"""Of the types that the stories' templates use."""


def watch(cloud: SimulatedCloud, seen: Callable[[Effect], None]) -> None:
    """`seen` hears of every operation that a call has begun, as soon as it has."""

    def heard(call: Call) -> None:
        effect = effect_of_call(cloud, call)
        if effect is not None:
            seen(effect)

    cloud.watch = heard


def effect_of_call(cloud: SimulatedCloud, call: Call) -> Effect | None:
    happening = call.happening
    if happening is None:
        return None
    earlier = [h for h in cloud.formation(call.place).history if h.stack == call.stack and h is not happening]
    lost = tuple(gone.logical_id for gone in happening.destroyed if gone.resource_type in HOLDS_DATA)
    return Effect(happening=happening, destroyed=lost, before=earlier[-1] if earlier else None)


def sickness(cloud: SimulatedCloud, place: Place, stack: str) -> frozenset[str]:
    """What is wrong with the stack at this moment; empty where nothing is."""
    found = cloud.formation(place).find(stack)
    if found is None:
        return frozenset({"there is no stack"})
    alarms = {f"{name} {state}" for name, state in cloud.alarm_states(place, found).items() if state != "OK"}
    return cloud.broken_now(place, found) - {"deploy", "rollback", "continue"} | alarms
