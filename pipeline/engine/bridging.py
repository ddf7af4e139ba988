"""Floor 3, engine: the change set that takes orphans back in and does nothing else, because they have no literal name.

The template that it needs exists nowhere: it is made from the one that runs and the release's, and stored as an
artifact like every other.
"""

from __future__ import annotations

import json
from typing import Any

from pipeline.decide.bridge import IDENTIFIERS, Unbridgeable, bridge
from pipeline.engine.job import Job
from pipeline.engine.world import World
from pipeline.errors import BlockedByPolicy
from pipeline.model.canonical import canonical
from pipeline.model.event import Orphan
from pipeline.model.ids import Digest
from pipeline.model.plan import Deployable
from pipeline.ports import Artifacts, ResourceToImport

__all__ = ["Crossing", "crossing"]


class Crossing:
    """What an import asks of CreateChangeSet: a template, the parameters that run, and the resources."""

    def __init__(self, template: Digest, runs: Deployable, taken: tuple[Orphan, ...]) -> None:
        self.template = template
        self.parameters = runs.parameters
        self.resources = tuple(
            ResourceToImport(
                logical_id=orphan.logical_id,
                resource_type=orphan.resource_type,
                identifier=((IDENTIFIERS[orphan.resource_type], orphan.physical_id),),
            )
            for orphan in taken
        )


def crossing(world: World, job: Job, orphans: tuple[Orphan, ...]) -> Crossing:
    """BlockedByPolicy where these orphans cannot be taken back in without a person."""
    runs = _what_runs(world, job)
    if runs is None or world.artifacts is None:
        raise _blocked(job, orphans, "what runs there is no release that the engine knows")
    running, wanted = _read(world.artifacts, runs.template), _read(world.artifacts, job.wanted.template)
    made = bridge(running, wanted, orphans)
    if isinstance(made, Unbridgeable):
        raise _blocked(job, orphans, made.reason)
    template, _ = world.artifacts.put(canonical(made.template), (job.place.region,))
    return Crossing(template, runs, made.taken)


def _what_runs(world: World, job: Job) -> Deployable | None:
    """The release whose template the stack has; its parameters are those that the stack runs with."""
    found = world.stacks.template(job.place, job.stack)
    known = (*job.state.goods, *((job.state.previous_good,) if job.state.previous_good else ()))
    return next((good for good in reversed(known) if good.template == found), None)


def _read(artifacts: Artifacts, template: Digest) -> dict[str, Any]:
    found = json.loads(artifacts.get(template))
    assert isinstance(found, dict), "a template is stored as a JSON object"
    return found


def _blocked(job: Job, orphans: tuple[Orphan, ...], why: str) -> BlockedByPolicy:
    beside = ", ".join(f"{o.logical_id} ({o.resource_type}) beside {o.physical_id}" for o in orphans)
    return BlockedByPolicy(
        f"it would make anew {beside}, which an earlier rollback here has let go of with its data: {why}",
        state=f"nothing was changed at {job.target.id}",
        remedy="import it into the stack by hand, or delete it and clear the target",
    )
