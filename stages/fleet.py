"""Floor 3, the stage that looks: what every target should run, and what its account says it runs. Changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pipeline.decide.skew import behind
from pipeline.errors import CredentialsRefused, ReleaseError
from pipeline.model.event import target_stream
from pipeline.model.fleet import Fleet
from pipeline.model.ids import AccountId, TargetId, stack_name
from pipeline.model.target_state import Phase, TargetState, fold_target
from pipeline.ports import Journal, Place, Stacks
from pipeline.views.fleet import FleetRow
from stages.plan_history import known_releases

__all__ = ["fleet_rows", "intended"]

_AT_ONCE = 16


def fleet_rows(fleet: Fleet, journal: Journal, live: Stacks | None) -> tuple[FleetRow, ...]:
    """One row for each stack the fleet asks for. live None: what the journal last saw; else the accounts are asked.

    A target that cannot be read says so in its note and shows no observed release: unknown is never shown as known.
    CredentialsRefused: it is the one who asks that cannot read.
    """
    wanted = _wanted(fleet)
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="fleet") as pool:
        rows = tuple(pool.map(lambda item: _row(item[0], item[1], item[2], journal, live), wanted))
    known = {service.name: known_releases(journal, service.name) for service in fleet.services}
    return tuple(replace(row, behind=behind(row.observed, known.get(row.service, ()))) for row in rows)


def intended(state: TargetState) -> str:
    """The release a target is meant to be on: where it was put back, that one."""
    if state.phase is Phase.ROLLED_BACK:
        return state.observed
    if state.quarantined:
        return state.previous_good.release if state.previous_good is not None else ""
    if state.desired is not None and state.phase not in (Phase.PENDING, Phase.SKIPPED):
        return state.desired.release
    return state.goods[-1].release if state.goods else ""


def _wanted(fleet: Fleet) -> list[tuple[TargetId, AccountId | None, str]]:
    own = [
        (TargetId(f"@{service.name}", region), service.account, service.name)
        for service in fleet.services
        for region in service.regions
    ]
    clients = [
        (TargetId(client.name, region), client.account, service)
        for client in fleet.clients
        for region in client.regions
        for service in client.services
    ]
    return own + clients


def _row(
    target: TargetId, account: AccountId | None, service: str, journal: Journal, live: Stacks | None
) -> FleetRow:
    state = fold_target(journal.read(target_stream(service, target)))
    observed, note = state.observed, state.reason if state.quarantined else ""
    readable = True
    if live is not None and account is None:
        observed, note = "", "has no account yet"
    elif live is not None and account is not None:
        try:
            observed = _ask(live, Place(account, target.region), service)
        except CredentialsRefused:
            raise
        except ReleaseError as fault:
            observed, note, readable = "", f"could not be read: {fault.problem}", False
    return FleetRow(
        client=target.owner,
        account=account or "",
        region=target.region,
        service=service,
        intended=intended(state),
        observed=observed,
        note=note,
        readable=readable,
    )


def _ask(live: Stacks, place: Place, service: str) -> str:
    snapshot = live.describe(place, stack_name(service))
    mark = snapshot.mark if snapshot is not None else None
    return mark.release if mark is not None else ""
