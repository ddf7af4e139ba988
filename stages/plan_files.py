"""Floor 3, stages: plans as files and as stored artifacts. A plan is never edited, and what is carried out is what was
stored, never what a file says.
"""

from __future__ import annotations

import json

from pipeline.errors import ArtifactMissing, IntegrityBroken, PlanStale, UsageError
from pipeline.model.canonical import canonical, sha256_hex
from pipeline.model.codec import sparse_json
from pipeline.model.ids import Digest, digest
from pipeline.model.plan import Plan, plan_digest, plan_from_json
from pipeline.ports import Artifacts

__all__ = ["load_plan", "plan_document", "read_plan_document"]


def plan_document(plan: Plan) -> bytes:
    """What `release plan -o FILE` writes: the plan, and the digest that names it."""
    content = {"format_version": 1, "digest": plan_digest(plan), "plan": sparse_json(plan)}
    return json.dumps(content, indent=1, sort_keys=True).encode("ascii") + b"\n"


def read_plan_document(content: bytes, artifacts: Artifacts) -> Plan:
    """IntegrityBroken where the file is not exactly a plan that was made here; a plan is never edited."""
    try:
        raw = json.loads(content)
        named = digest(str(raw["digest"]))
        found = digest(sha256_hex(canonical(raw["plan"])))
    except (ValueError, TypeError, KeyError, RecursionError) as fault:
        raise UsageError(
            f"this file is not a plan ({type(fault).__name__}: {fault})",
            remedy="make one with `release plan RELEASE -o plan.json`",
        ) from fault
    if found != named:
        raise IntegrityBroken(
            "this plan has been edited: its content is not what its digest names",
            state="nothing was touched",
            remedy="make a new one with `release plan RELEASE -o plan.json`",
        )
    return load_plan(named, artifacts)


def load_plan(wanted: Digest, artifacts: Artifacts) -> Plan:
    """The stored plan of that digest: what is carried out is what was stored, never what a file says."""
    try:
        return plan_from_json(artifacts.get(wanted))
    except ArtifactMissing as missing:
        raise IntegrityBroken(
            f"the plan {wanted} was not made here: the artifact store does not have it",
            state="nothing was touched",
            remedy="make a plan with `release plan RELEASE`",
        ) from missing
    except ValueError as fault:
        raise PlanStale(
            f"the plan {wanted} is of another format: {fault}",
            state="nothing was touched",
            remedy="make a new plan with `release plan RELEASE`",
        ) from fault
