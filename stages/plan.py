"""Floor 3, the stage that plans: reads every target, asks CloudFormation what would change, freezes the answer.

For a stack that exists a change set is made, read and deleted; a first creation is shown from the template. It may
be repeated at will: nothing but the stored plan is left behind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from pipeline.decide.guard import findings
from pipeline.decide.parameters import ParameterFault, parameters_for
from pipeline.decide.planning import Effect, assemble, reason_to_skip
from pipeline.decide.target_steps import mark_of, tag_of
from pipeline.errors import (
    AccountUnusable,
    ArtifactMissing,
    BlockedByPolicy,
    ConfigInvalid,
    IntegrityBroken,
    NotFound,
    OperationFailed,
    PlanStale,
    Throttled,
    UsageError,
)
from pipeline.model.canonical import canonical, sha256_hex
from pipeline.model.codec import to_json
from pipeline.model.event import target_stream
from pipeline.model.fleet import Client, Fleet, FleetService
from pipeline.model.ids import AccountId, Digest, TargetId, digest, stack_name
from pipeline.model.plan import (
    Deployable,
    EffectKind,
    Plan,
    PlannedTarget,
    SkippedTarget,
    plan_digest,
    plan_from_json,
    plan_to_json,
)
from pipeline.model.release import BuiltStack, Manifest, ServiceSpec
from pipeline.model.stack import DEPLOYABLE, ResourceChange, StackStatus, parameters_digest
from pipeline.model.target_state import TargetState, fold_target
from pipeline.ports import Artifacts, ChangeSetRequest, Clock, Journal, Place, Stacks

__all__ = ["PlanPorts", "PlanRequest", "load_plan", "make_plan", "plan_document", "read_plan_document"]

_AT_ONCE = 16
_PATIENCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPorts:
    clock: Clock
    journal: Journal
    artifacts: Artifacts
    stacks: Stacks


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """envelope: digest of the signed manifest as stored. spec: the release's own, from its manifest."""

    fleet: Fleet
    manifest: Manifest
    envelope: Digest
    spec: ServiceSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """A target before anything was read: what it should run, and the parameters' faults."""

    target: TargetId
    account: AccountId
    desired: Deployable
    stack: BuiltStack


def make_plan(request: PlanRequest, ports: PlanPorts) -> Plan:
    """Freeze release × targets × waves × policy, and store the plan as an artifact.

    ConfigInvalid with every parameter that has no value; BlockedByPolicy with everything the guard found.
    """
    # Taken before anything is read: what moves while this plan is made makes it stale.
    began = ports.clock.now()
    wishes, skipped = _wishes(request, ports)
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="plan") as pool:
        read = list(pool.map(lambda wish: _observe(wish, request, ports), wishes))
    targets: list[tuple[PlannedTarget, Effect]] = []
    for wish, found in zip(wishes, read, strict=True):
        if isinstance(found, Effect):
            targets.append((_planned(wish, request, found), found))
        elif wish.target.is_client:
            skipped.append(SkippedTarget(id=wish.target, reason=found))
        else:
            raise BlockedByPolicy(
                f"the service's own target {wish.target} cannot be deployed to: {found}",
                state="nothing was planned",
                remedy="mend that account or stack first: no client is served before its service",
            )
    _refuse_too_many_left_out(request, [found for found in read if isinstance(found, str)])
    _refuse_what_the_guard_finds(targets)
    plan = assemble(
        request.manifest,
        request.envelope,
        request.fleet,
        request.spec.waves,
        targets,
        skipped,
        began,
    )
    ports.artifacts.put(plan_to_json(plan), (request.fleet.tools.region,))
    return plan


# --- who takes part, and with what -----------------------------------------------------------------


def _wishes(request: PlanRequest, ports: PlanPorts) -> tuple[list[_Wish], list[SkippedTarget]]:
    service = request.fleet.service(request.spec.name)
    if service is None:
        raise NotFound(
            f"the fleet has no service {request.spec.name}",
            remedy="add it to fleet.toml under [[service]]",
        )
    wishes: list[_Wish] = []
    skipped: list[SkippedTarget] = []
    faults: list[ParameterFault] = []
    own = request.manifest.stack("service")
    if own is not None:
        _refuse_quarantined(service, ports.journal)
        wishes += _service_wishes(request, service, own, faults)
    shared = request.manifest.stack("client")
    today = ports.clock.now().date()
    for client in request.fleet.subscribers(service.name) if shared is not None else ():
        ids = [TargetId(client.name, region) for region in client.regions]
        states = [_state(ports.journal, service.name, target) for target in ids]
        reasons = [reason_to_skip(client, service.name, state, today) for state in states]
        skipped += [SkippedTarget(id=t, reason=why) for t, why in zip(ids, reasons, strict=True) if why]
        takes_part = [t for t, why in zip(ids, reasons, strict=True) if not why]
        assert shared is not None, "the loop has no clients otherwise"
        wishes += _client_wishes(request, service, client, shared, takes_part, faults)
    if faults:
        raise ConfigInvalid(
            f"{len(faults)} template parameters have no value",
            details=tuple(str(fault) for fault in faults),
            remedy="give the parameter a Default in the template, or a value under `cosmetic` in fleet.toml",
        )
    return wishes, skipped


def _service_wishes(
    request: PlanRequest, service: FleetService, stack: BuiltStack, faults: list[ParameterFault]
) -> list[_Wish]:
    if service.account is None:
        raise UsageError(
            f"the service {service.name} has no account yet",
            remedy=f"run `release bootstrap service {service.name}`",
        )
    values, found = parameters_for(stack.parameters, request.fleet, service, None)
    faults += found
    desired = _deployable(request, stack, values)
    targets = [TargetId(f"@{service.name}", region) for region in service.regions]
    return [_Wish(target=t, account=service.account, desired=desired, stack=stack) for t in targets]


def _refuse_quarantined(service: FleetService, journal: Journal) -> None:
    """A client in quarantine is left out; without the service's own stack no client can be served at all."""
    for region in service.regions:
        target = TargetId(f"@{service.name}", region)
        state = _state(journal, service.name, target)
        if state.quarantined:
            raise BlockedByPolicy(
                f"the service's own target {target} is in quarantine: {state.reason}",
                state="nothing was planned",
                remedy=f"look at its stack, then `release clear {service.name} {target} --reason …`",
            )


def _client_wishes(
    request: PlanRequest,
    service: FleetService,
    client: Client,
    stack: BuiltStack,
    targets: Sequence[TargetId],
    faults: list[ParameterFault],
) -> list[_Wish]:
    if not targets or client.account is None:
        return []
    values, found = parameters_for(stack.parameters, request.fleet, service, client)
    faults += found
    desired = _deployable(request, stack, values)
    return [_Wish(target=t, account=client.account, desired=desired, stack=stack) for t in targets]


def _deployable(request: PlanRequest, stack: BuiltStack, values: tuple[tuple[str, str], ...]) -> Deployable:
    # Only client stacks and service stacks that declare the output can be called.
    return Deployable(
        release=str(request.manifest.release),
        digest=request.manifest.digest,
        commit=request.manifest.commit,
        template=stack.template,
        parameters=values,
        functions=stack.functions,
        health=request.spec.health_of(stack.role),
    )


def _state(journal: Journal, service: str, target: TargetId) -> TargetState:
    return fold_target(journal.read(target_stream(service, target)))


# --- what would change -----------------------------------------------------------------------------


def _observe(wish: _Wish, request: PlanRequest, ports: PlanPorts) -> Effect | str:
    """The effect, or why the target cannot take part."""
    place = Place(wish.account, wish.target.region)
    name = stack_name(request.spec.name)
    try:
        snapshot = ports.stacks.describe(place, name)
        if snapshot is None or snapshot.status is StackStatus.REVIEW_IN_PROGRESS:
            return Effect(kind=EffectKind.CREATE, changes=_creation(wish.stack))
        if snapshot.status not in DEPLOYABLE:
            return f"its stack is in {snapshot.status}"
        same = parameters_digest(snapshot.readable_parameters) == parameters_digest(wish.desired.parameters)
        if snapshot.mark == mark_of(wish.desired) and same:
            return Effect(kind=EffectKind.NOTHING)
        changes = _ask(wish, request, ports, place, name)
    except AccountUnusable as fault:
        return fault.problem
    return Effect(kind=EffectKind.UPDATE if changes else EffectKind.NOTHING, changes=changes)


def _creation(stack: BuiltStack) -> tuple[ResourceChange, ...]:
    return tuple(
        ResourceChange(logical_id=name, resource_type=kind, action="Add")
        for name, kind in stack.resource_types
    )


def _ask(
    wish: _Wish, request: PlanRequest, ports: PlanPorts, place: Place, stack: str
) -> tuple[ResourceChange, ...]:
    """Make a change set, read it and delete it whatever it says."""
    now = ports.clock.now()
    seed = f"plan\n{request.manifest.digest}\n{wish.target}\n{now.isoformat()}"
    identity = hashlib.sha256(seed.encode()).hexdigest()[:32]
    change_set = ChangeSetRequest(
        stack=stack,
        name=f"tg-{identity}",
        token=identity,
        creating=False,
        template=wish.desired.template,
        parameters=wish.desired.parameters,
        tags=(
            ("tidegate:client", tag_of(wish.target)),
            ("tidegate:managed-by", "tidegate"),
            ("tidegate:service", request.spec.name),
        ),
        description=f"what {wish.desired.release} would change",
    )
    arn, _ = ports.stacks.create_change_set(place, change_set)
    try:
        return _read(ports, place, stack, arn, wish.target)
    finally:
        ports.stacks.delete_change_set(place, stack, arn)


def _read(
    ports: PlanPorts, place: Place, stack: str, arn: str, target: TargetId
) -> tuple[ResourceChange, ...]:
    started = ports.clock.now()
    delay = timedelta(milliseconds=300)
    while ports.clock.now() - started < _PATIENCE:
        try:
            view = ports.stacks.describe_change_set(place, stack, arn)
        except Throttled:
            ports.clock.sleep(timedelta(seconds=2))
            continue
        if view.is_empty:
            return ()
        if view.status == "FAILED":
            raise OperationFailed(
                f"AWS cannot make a change set for {target}: {view.reason}",
                state="nothing was changed",
                remedy="mend the template or its parameters, then build and plan again",
            )
        if view.is_settled:
            return view.changes
        ports.clock.sleep(delay)
        delay = min(delay * 1.5, timedelta(seconds=5))
    raise OperationFailed(
        f"the change set for {target} was not ready after {_PATIENCE}",
        state="nothing was changed",
        remedy="plan again",
    )


def _planned(wish: _Wish, request: PlanRequest, effect: Effect) -> PlannedTarget:
    return PlannedTarget(
        id=wish.target,
        account=wish.account,
        stack=stack_name(request.spec.name),
        desired=wish.desired,
        effect=effect.kind,
        effect_digest=effect.digest,
    )


def _refuse_too_many_left_out(request: PlanRequest, reasons: Sequence[str]) -> None:
    """Clients who cannot be reached do not count as failed, but only so many may be passed over without a word."""
    limit = request.spec.waves.max_skipped
    if len(reasons) > limit:
        raise BlockedByPolicy(
            f"{len(reasons)} targets cannot be deployed to, and only {limit} may be passed over",
            state="nothing was planned",
            details=tuple(reasons),
            remedy="mend those accounts, or raise max_skipped in release.toml and build a new version",
        )


def _refuse_what_the_guard_finds(targets: Sequence[tuple[PlannedTarget, Effect]]) -> None:
    blocked = [
        f"{target.id}: {finding}" for target, effect in targets for finding in findings(effect.changes)
    ]
    if blocked:
        raise BlockedByPolicy(
            "this release would delete or replace what holds data",
            state="nothing was changed",
            details=tuple(blocked),
            remedy="keep the resource in the template (DeletionPolicy and UpdateReplacePolicy: Retain protect"
            " it); move data in a release of its own first",
        )


# --- plans as files --------------------------------------------------------------------------------


def plan_document(plan: Plan) -> bytes:
    """What `release plan -o FILE` writes: the plan, and the digest that names it."""
    content = {"format_version": 1, "digest": plan_digest(plan), "plan": to_json(plan)}
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
