"""Floor 3, engine: deploys to targets that belong to no wave, such as leased test accounts, by the same ticks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.engine.fan_out import FanOut
from pipeline.engine.ledger import Ledger
from pipeline.engine.workers import Workers
from pipeline.engine.world import Runner, World
from pipeline.model.ids import TargetId
from pipeline.model.plan import Plan, plan_digest
from pipeline.model.target_state import IN_FLIGHT, Phase

__all__ = ["deploy_all"]


def deploy_all(
    world: World, runner: Runner, plan: Plan, workers: Workers, check: Callable[[], None]
) -> Mapping[TargetId, str]:
    """Every target of a one-wave plan at once; its outcome: empty for a healthy target, else why it is not.

    check: raises when the lease is lost. Nothing is written to the release's stream, and nothing is rolled back.
    """
    ledger = Ledger(world.journal, plan, plan_digest(plan), runner)
    ledger.take_over()
    fan_out = FanOut(world, runner, ledger, plan, workers)
    try:
        ids = [target.id for target in plan.targets]
        fan_out.begin([t for t in ids if ledger.target(t).phase not in IN_FLIGHT])
        fan_out.go_on(ids)
        while fan_out.busy:
            check()
            fan_out.wait(None)
    finally:
        workers.close()
    states = ledger.targets()
    return {t: "" if states[t].phase is Phase.HEALTHY else states[t].reason or states[t].phase for t in ids}
