"""Floor 3, engine: one look at how a deployed target is. Writes nothing, waits for nothing."""

from __future__ import annotations

from pipeline.engine.job import Job
from pipeline.engine.world import World
from pipeline.model import event as e
from pipeline.model.plan import Deployable
from pipeline.model.policy import AlarmsBefore

__all__ = ["watch"]


def watch(world: World, job: Job, wanted: Deployable) -> tuple[e.Verdict, str]:
    """One look at a deployed target's alarms, health address and smoke check. NO_DATA where something cannot be read.

    Alarms that were in ALARM before the deployment are left out where the plan has them recorded; the reason then
    says so, also with a PASS.
    """
    left_out = job.state.alarms_before if job.alarms_before is AlarmsBefore.RECORD else ()
    readings = []
    if wanted.health.alarms:
        readings.append(world.alarms.read(job.place, job.target.stack, left_out))
    if wanted.health.url_output:
        url = _address(world, job, wanted)
        if not url:
            return e.Verdict.NO_DATA, f"the stack has no output {wanted.health.url_output}"
        address = url.rstrip("/") + wanted.health.path if wanted.health.path else url
        readings.append(world.health.call(address, wanted.health.expect, job.health_hosts))
    if wanted.health.smoke:
        readings.append(world.smoke.call(job.place, job.target.stack, wanted.health.smoke))
    sick = [r.reason for r in readings if r.readable and not r.healthy]
    if sick:
        return e.Verdict.FAIL, "; ".join(sick)
    unread = [r.reason for r in readings if not r.readable]
    if unread:
        return e.Verdict.NO_DATA, "; ".join(unread)
    if left_out and wanted.health.alarms:
        return e.Verdict.PASS, f"left out, because in ALARM before the deployment: {', '.join(left_out)}"
    return e.Verdict.PASS, ""


def _address(world: World, job: Job, wanted: Deployable) -> str:
    """As the stack said when it settled; asked where this run did not see it settle."""
    if job.state.action is not None and job.state.action.address:
        return job.state.action.address
    snapshot = world.stacks.describe(job.place, job.target.stack)
    return dict(snapshot.outputs).get(wanted.health.url_output, "") if snapshot else ""
