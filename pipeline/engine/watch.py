"""Floor 3, engine: one look at how a deployed target is. Writes nothing, waits for nothing."""

from __future__ import annotations

from pipeline.engine.job import Job
from pipeline.engine.world import World
from pipeline.model import event as e
from pipeline.model.plan import Deployable

__all__ = ["watch"]


def watch(world: World, job: Job, wanted: Deployable) -> tuple[e.Verdict, str]:
    """One look at a deployed target's alarms and health address. NO_DATA where something cannot be read."""
    readings = []
    if wanted.health.alarms:
        readings.append(world.alarms.read(job.place, job.target.stack))
    if wanted.health.url_output:
        snapshot = world.stacks.describe(job.place, job.target.stack)
        url = dict(snapshot.outputs).get(wanted.health.url_output, "") if snapshot else ""
        if not url:
            return e.Verdict.NO_DATA, f"the stack has no output {wanted.health.url_output}"
        address = url.rstrip("/") + wanted.health.path if wanted.health.path else url
        readings.append(world.health.call(address, wanted.health.expect, job.health_hosts))
    sick = [r.reason for r in readings if r.readable and not r.healthy]
    if sick:
        return e.Verdict.FAIL, "; ".join(sick)
    unread = [r.reason for r in readings if not r.readable]
    if unread:
        return e.Verdict.NO_DATA, "; ".join(unread)
    return e.Verdict.PASS, ""
