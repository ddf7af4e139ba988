"""Floor 3, the stage that plans: reads every target, asks CloudFormation what would change, freezes the answer.

It may be repeated at will: nothing but the stored plan is left behind. After the plan is stored nothing reads
fleet.toml or release.toml for this run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.decide.eta import typical
from pipeline.decide.guard import GuardFinding, findings
from pipeline.decide.parameters import ParameterFault, parameters_for
from pipeline.decide.planning import (
    Effect,
    Surroundings,
    assemble,
    reason_to_skip,
    too_late,
    waiver_notes,
    with_times,
)
from pipeline.decide.waivers import covered, set_apart, ways_to_accept
from pipeline.errors import BlockedByPolicy, ConfigInvalid, NotFound, UsageError
from pipeline.model.event import target_stream
from pipeline.model.fleet import Client, Fleet, FleetService
from pipeline.model.ids import Digest, TargetId
from pipeline.model.plan import Deployable, Plan, PlannedTarget, SkippedTarget, plan_to_json
from pipeline.model.release import BuiltStack, Manifest, ServiceSpec
from pipeline.model.target_state import TargetState, fold_target
from pipeline.model.waiver import SignedWaiver
from pipeline.ports import Artifacts, Clock, Journal, Stacks
from stages.plan_effects import Wish, observe
from stages.plan_files import load_plan, plan_document, read_plan_document
from stages.plan_history import durations, known_releases

__all__ = ["PlanPorts", "PlanRequest", "load_plan", "make_plan", "plan_document", "read_plan_document"]

_AT_ONCE = 16

Pair = tuple[PlannedTarget, Effect]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPorts:
    clock: Clock
    journal: Journal
    artifacts: Artifacts
    stacks: Stacks


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """envelope: digest of the signed manifest as stored. spec: the release's own, from its manifest.

    waivers: those whose signature was checked and holds; others must not come here.
    """

    fleet: Fleet
    manifest: Manifest
    envelope: Digest
    spec: ServiceSpec
    waivers: tuple[SignedWaiver, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Roll:
    """Who is asked, who is not and why, and what the journal says of both. Grows while it is written."""

    wishes: list[Wish]
    skipped: list[SkippedTarget]
    running: dict[TargetId, str]
    took: list[timedelta]
    faults: list[ParameterFault]


def make_plan(request: PlanRequest, ports: PlanPorts) -> Plan:
    """Freeze release × targets × waves × policy, and store the plan as an artifact.

    ConfigInvalid with every parameter that has no value; BlockedByPolicy where the service's own target cannot be
    changed, where the guard leaves no client to change, or where more than `max_skipped` cannot be reached.
    """
    # Taken before anything is read: what moves while this plan is made makes it stale.
    began = ports.clock.now()
    roll = _roll(request, ports)
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="plan") as pool:
        read = list(pool.map(lambda wish: observe(wish, ports.stacks, ports.clock), roll.wishes))
    asked = _answered(request, roll, read, began)
    guarded, notes = _guarded(request, roll, asked, began)
    around = Surroundings(
        rollback_safe=request.spec.rollback_safe,
        waivers=tuple(w for w in request.waivers if w.waiver.release == request.manifest.release),
        known=known_releases(ports.journal, request.spec.name),
        running=roll.running,
        each=typical(roll.took),
        notes=notes,
    )
    plan = assemble(
        request.manifest,
        request.envelope,
        request.fleet,
        request.spec.waves,
        guarded,
        roll.skipped,
        began,
        around,
    )
    ports.artifacts.put(plan_to_json(plan), (request.fleet.tools.region,))
    return plan


# --- who takes part, and with what -----------------------------------------------------------------


def _roll(request: PlanRequest, ports: PlanPorts) -> _Roll:
    service = request.fleet.service(request.spec.name)
    if service is None:
        raise NotFound(
            f"the fleet has no service {request.spec.name}",
            remedy="add it to fleet.toml under [[service]]",
        )
    roll = _Roll(wishes=[], skipped=[], running={}, took=[], faults=[])
    own, shared = request.manifest.stack("service"), request.manifest.stack("client")
    if own is not None:
        _enrol_service(request, service, own, ports.journal, roll)
    if shared is not None:
        today = ports.clock.now().date()
        for client in request.fleet.subscribers(service.name):
            states = [
                _state(ports.journal, service.name, TargetId(client.name, region), roll)
                for region in client.regions
            ]
            reasons = [reason_to_skip(client, service.name, state, today) for state in states]
            _enrol_client(request, service, client, shared, list(zip(states, reasons, strict=True)), roll)
    if roll.faults:
        raise ConfigInvalid(
            f"{len(roll.faults)} template parameters have no value",
            details=tuple(str(fault) for fault in roll.faults),
            remedy="give the parameter a Default in the template, or a value under `cosmetic` in fleet.toml",
        )
    return roll


def _enrol_service(
    request: PlanRequest, service: FleetService, stack: BuiltStack, journal: Journal, roll: _Roll
) -> None:
    if service.account is None:
        raise UsageError(
            f"the service {service.name} has no account yet",
            remedy=f"run `release bootstrap service {service.name}`",
        )
    values, faults = parameters_for(stack.parameters, request.fleet, service, None)
    roll.faults += faults
    desired = _deployable(request, stack, values)
    for region in service.regions:
        target = TargetId(f"@{service.name}", region)
        state = _state(journal, service.name, target, roll)
        if state.quarantined:
            # A client in quarantine is left out; without the service's own stack no client can be served at all.
            raise BlockedByPolicy(
                f"the service's own target {target} is in quarantine: {state.reason}",
                state="nothing was planned",
                remedy=f"look at its stack, then `release clear {service.name} {target} --reason …`",
            )
        roll.wishes.append(
            Wish(
                service=service.name,
                target=target,
                account=service.account,
                desired=desired,
                stack=stack,
                state=state,
            )
        )


def _enrol_client(
    request: PlanRequest,
    service: FleetService,
    client: Client,
    stack: BuiltStack,
    found: Sequence[tuple[TargetState, str]],
    roll: _Roll,
) -> None:
    """found: (state, why it is skipped or nothing) of each Region, in the client's order."""
    places = [(TargetId(client.name, r), *pair) for r, pair in zip(client.regions, found, strict=True)]
    roll.skipped += [SkippedTarget(id=target, reason=why) for target, _, why in places if why]
    taking_part = [(target, state) for target, state, why in places if not why]
    if not taking_part or client.account is None:
        return
    values, faults = parameters_for(stack.parameters, request.fleet, service, client)
    roll.faults += faults
    desired = _deployable(request, stack, values)
    roll.wishes += [
        Wish(
            service=service.name,
            target=target,
            account=client.account,
            desired=desired,
            stack=stack,
            state=state,
        )
        for target, state in taking_part
    ]


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


def _state(journal: Journal, service: str, target: TargetId, roll: _Roll) -> TargetState:
    entries = journal.read(target_stream(service, target))
    state = fold_target(entries)
    roll.running[target] = state.observed
    roll.took += durations(entries)
    return state


# --- who is left out, once everybody has answered ------------------------------------------------------


def _answered(request: PlanRequest, roll: _Roll, read: Sequence[Effect | str], began: datetime) -> list[Pair]:
    """Those who can take part in time; the others join the skipped."""
    targets: list[Pair] = []
    for wish, found in zip(roll.wishes, read, strict=True):
        why = found if isinstance(found, str) else _why_too_late(request, wish, found, began)
        if isinstance(found, Effect):
            roll.running[wish.target] = found.running
        if isinstance(found, Effect) and not why:
            targets.append((wish.planned(found), found))
        elif wish.target.is_client:
            roll.skipped.append(SkippedTarget(id=wish.target, reason=why))
        else:
            raise BlockedByPolicy(
                f"the service's own target {wish.target} cannot be deployed to: {why}",
                state="nothing was planned",
                remedy="mend that account or stack, or lift the freeze: no client is served before its service",
            )
    _refuse_too_many_left_out(request, [found for found in read if isinstance(found, str)])
    return targets


def _why_too_late(request: PlanRequest, wish: Wish, found: Effect, began: datetime) -> str:
    timed = with_times(wish.planned(found), request.fleet, wish.service, began)
    return too_late(timed, request.spec.waves, began)


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


def _guarded(
    request: PlanRequest, roll: _Roll, asked: Sequence[Pair], began: datetime
) -> tuple[list[Pair], tuple[str, ...]]:
    """(the targets whose change may be made, what was waived). A client whose change is blocked is left out."""
    states = {wish.target: wish.state for wish in roll.wishes}
    blocked: list[tuple[PlannedTarget, Sequence[GuardFinding]]] = []
    used: list[tuple[TargetId, SignedWaiver]] = []
    for target, effect in asked:
        ours = [(orphan.logical_id, orphan.physical_id) for orphan in states[target.id].orphans]
        found = findings(effect.changes, ours=ours)
        left, waived = covered(found, request.waivers, target, began)
        used += [(target.id, waiver) for waiver in waived]
        if left:
            blocked.append((target, left))
    apart = set_apart(blocked, [target for target, _ in asked])
    if apart.refused:
        release = str(request.manifest.release)
        raise BlockedByPolicy(
            "this release would delete or replace what holds data",
            state="nothing was changed",
            details=(*apart.refused, *ways_to_accept(release, blocked)),
            remedy="keep the resource in the template (DeletionPolicy and UpdateReplacePolicy: Retain protect"
            " it); move data in a release of its own first",
        )
    stopped = {target.id for target in apart.stopped}
    roll.skipped += apart.stopped
    return [pair for pair in asked if pair[0].id not in stopped], waiver_notes(used)
