"""Floor 3, stages: test accounts: obtained, prepared, cleaned and handed back. Crash-safe by the registry's states.

An account leaves the hands of a runner as Ready only when its stacks are provably gone; else as Quarantine. What a
dead runner left behind is cleaned before it is used again. Nothing is deleted before every interlock has passed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from pipeline.cloudformation import Template, template_body
from pipeline.decide.pool import (
    CleaningFacts,
    PoolAccount,
    PoolState,
    Selection,
    cleaning_refusals,
    select_accounts,
)
from pipeline.errors import NotFound, OperationFailed, ReleaseError, StreamMoved, Throttled, UsageError
from pipeline.model.fleet import Fleet
from pipeline.model.ids import AccountId
from pipeline.model.stack import IN_PROGRESS, StackSnapshot, StackStatus
from pipeline.ports import Cleaner, OwnStack, OwnStacks, Place, RegistryRow
from stages.accounts import AccountWorld, burn, make_account
from stages.leasing import LeaseKeeper, lease_name, worker_lease_name
from stages.own_stack import NEW_ACCOUNT, deploy_own_stack
from stages.patience import patiently, wait_until
from stages.together import together
from stages.trust import template_addresses

__all__ = ["HandedBack", "PoolWorld", "hand_back", "obtain"]

_CALLS = timedelta(minutes=5)
_DELETION = timedelta(minutes=30)
_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolWorld:
    """accounts: as TidegateAccounts. stacks: in test accounts, through the access role. cleaner: TidegateClean."""

    accounts: AccountWorld
    stacks: OwnStacks
    cleaner: Cleaner
    fleet: Fleet
    organization: str
    keeper: LeaseKeeper


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedBack:
    """problem: why the account went into quarantine; empty where it is Ready. kept: what deletion left there."""

    name: str
    problem: str = ""
    kept: tuple[str, ...] = ()


def obtain(world: PoolWorld, wanted: int) -> tuple[RegistryRow, ...]:
    """`wanted` prepared accounts, each Leased in the registry and under a lease of ours; sorted by name.

    OperationFailed where the pool cannot be filled; then what was obtained has been handed back.
    """
    if wanted < 1:
        raise UsageError("a release is tested in at least one account", remedy="write: --accounts 1")
    got: list[RegistryRow] = []
    try:
        for _ in range(_ROUNDS):
            _obtain_some(world, wanted - len(got), got)
            if len(got) == wanted:
                return tuple(sorted(got, key=lambda row: row.name))
    except BaseException:
        # Whatever ends this run, even Ctrl-C, must not strand what it holds.
        for row in got:
            _to_ready_unused(world, row)
        raise
    for row in got:
        _to_ready_unused(world, row)
    raise OperationFailed(
        f"only {len(got)} of {wanted} test accounts could be had",
        state="they were handed back",
        remedy="look at the pool with: release account list",
    )


def _obtain_some(world: PoolWorld, wanted: int, got: list[RegistryRow]) -> None:
    """Appends to `got` as it goes: where one account fails, the caller still knows of the others."""
    registry = world.accounts.registry
    rows = {row.name: row for row in registry.rows("test")}
    pool = [_pool_account(world, row) for row in rows.values()]
    chosen = select_accounts(pool, wanted)
    work = _work(world, chosen, rows)

    def one(number: int) -> None:
        row = work[number][1]()
        if row is not None:
            got.append(row)

    together([name for name, _ in work], one)


def _work(
    world: PoolWorld, chosen: Selection, rows: dict[str, RegistryRow]
) -> list[tuple[str, Callable[[], RegistryRow | None]]]:
    fresh = [burn(world.accounts, "test") for _ in range(chosen.create)]

    def taken(row: RegistryRow) -> Callable[[], RegistryRow | None]:
        return lambda: _leased(world, row)

    def reclaimed(row: RegistryRow) -> Callable[[], RegistryRow | None]:
        return lambda: _reclaim(world, row)

    def made(row: RegistryRow, new: bool) -> Callable[[], RegistryRow | None]:
        return lambda: _make(world, row, fresh=new)

    return [
        *((name, taken(rows[name])) for name in chosen.ready),
        *((name, reclaimed(rows[name])) for name in chosen.reclaim),
        *((name, made(rows[name], False)) for name in chosen.resume),
        *((row.name, made(row, True)) for row in fresh),
    ]


def _pool_account(world: PoolWorld, row: RegistryRow) -> PoolAccount:
    """Whether it is held is found out by trying: a store knows best whether a holder is still alive.

    The tests of a runner that died may live on; an account in which they work is held as well.
    """
    usable = row.state not in (PoolState.BURNT, PoolState.QUARANTINE)
    names = [lease_name(row.account or row.name)]
    if row.account is not None:
        names.append(worker_lease_name(row.account))
    held = not (usable and all(_is_free(world.keeper, name) for name in names))
    return PoolAccount(name=row.name, state=row.state, account=row.account, held=held)


def _is_free(keeper: LeaseKeeper, name: str) -> bool:
    free = keeper.take(name)
    keeper.give_back(name)
    return free


def _reclaim(world: PoolWorld, row: RegistryRow) -> RegistryRow | None:
    assert row.account is not None
    if not world.keeper.take(lease_name(row.account)):
        return None
    world.accounts.said(f"cleaning {row.name}, which an earlier run left behind")
    back = _clean(world, row)
    if back.problem:
        return None
    ready = world.accounts.registry.row(row.name)
    return _leased(world, ready) if ready is not None else None


def _make(world: PoolWorld, row: RegistryRow, *, fresh: bool) -> RegistryRow | None:
    claim = lease_name(row.name)
    if not world.keeper.take(claim):
        return None
    try:
        made = make_account(world.accounts, row, fresh=fresh)
        return _leased(world, made)
    finally:
        world.keeper.give_back(claim)


def _leased(world: PoolWorld, row: RegistryRow) -> RegistryRow | None:
    """None where another runner was quicker."""
    assert row.account is not None
    if not world.keeper.take(lease_name(row.account)):
        return None
    _prepare(world, row, row.account)
    try:
        return world.accounts.registry.change(
            row.name, expected_state=row.state, row=replace(row, state=PoolState.LEASED, note="")
        )
    except StreamMoved:
        world.keeper.give_back(lease_name(row.account))
        return None


def _prepare(world: PoolWorld, row: RegistryRow, account: AccountId) -> None:
    tools = world.fleet.tools.account
    if tools is None:
        raise UsageError("there is no Tools account yet", remedy="run: release bootstrap tools")
    request = OwnStack(
        place=Place(account, world.fleet.tools.region),
        stack=Template.TEST.value,
        template=template_body(Template.TEST),
        parameters=(
            ("ToolsAccount", tools),
            ("ExternalId", row.external_id),
            ("OrganizationId", world.organization),
            ("TemplateUrls", ",".join(template_addresses(tools, world.fleet.regions))),
        ),
    )
    usable = NEW_ACCOUNT if row.state == PoolState.CREATING else timedelta(0)
    if deploy_own_stack(world.stacks, world.accounts.clock, request, usable=usable).changed:
        world.accounts.said(f"prepared {row.name} (account {account})")


def _to_ready_unused(world: PoolWorld, row: RegistryRow) -> None:
    """Nothing was deployed in it by this run."""
    world.accounts.registry.change(
        row.name, expected_state=PoolState.LEASED, row=replace(row, state=PoolState.READY)
    )
    world.keeper.give_back(lease_name(row.account or row.name))


# --- handing back ------------------------------------------------------------------------------------


def hand_back(world: PoolWorld, rows: tuple[RegistryRow, ...]) -> tuple[HandedBack, ...]:
    """Cleans all of them at once; never raises for one account what would keep another from being cleaned."""

    def one(number: int) -> HandedBack:
        row = rows[number]
        try:
            return _clean(world, row)
        finally:
            world.keeper.give_back(lease_name(row.account or row.name))

    return tuple(together([row.name for row in rows], one))


def _clean(world: PoolWorld, row: RegistryRow) -> HandedBack:
    """Leased or Cleaning → Ready, or → Quarantine with the reason in the registry."""
    assert row.account is not None
    registry = world.accounts.registry
    try:
        cleaning = registry.change(
            row.name, expected_state=row.state, row=replace(row, state=PoolState.CLEANING)
        )
    except StreamMoved as moved:
        return HandedBack(name=row.name, problem=moved.problem)
    try:
        refusals = cleaning_refusals(_facts(world, row.name, row.account))
        if refusals:
            return _quarantine(world, cleaning, "; ".join(refusals), move=False)
        _move(world, row.account, "Test/Cleaning")
        kept = _delete_stacks(world, row.account)
        _move(world, row.account, "Test/Pool")
    except ReleaseError as fault:
        return _quarantine(world, cleaning, fault.problem, move=True)
    registry.change(
        row.name, expected_state=PoolState.CLEANING, row=replace(cleaning, state=PoolState.READY, note="")
    )
    return HandedBack(name=row.name, kept=kept)


def _quarantine(world: PoolWorld, row: RegistryRow, problem: str, *, move: bool) -> HandedBack:
    """move: only for an account that has been proven to be a test account."""
    world.accounts.registry.change(
        row.name,
        expected_state=PoolState.CLEANING,
        row=replace(row, state=PoolState.QUARANTINE, note=problem),
    )
    if move and row.account is not None:
        try:
            _move(world, row.account, "Test/Quarantine")
        except ReleaseError as fault:
            problem = f"{problem}; and it could not be moved: {fault.problem}"
    return HandedBack(name=row.name, problem=problem)


def _facts(world: PoolWorld, name: str, account: AccountId) -> CleaningFacts:
    """Everything read anew, each from its own source, and the caller from the very session that will delete."""
    row = world.accounts.registry.by_account(account)
    known = {found.id: found for found in world.accounts.accounts.accounts()}
    member = known.get(account)
    return CleaningFacts(
        account=account,
        mailbox=world.accounts.mailbox,
        kind=row.kind if row is not None and row.name == name else "",
        email=row.email if row is not None else "",
        unit=world.accounts.units.unit_of(account) if member is not None else "",
        organization_email=member.email if member is not None else "",
        organization_state=member.state if member is not None else "",
        caller=patiently(world.accounts.clock, lambda: world.cleaner.caller(account), _CALLS, (Throttled,)),
        leased=world.keeper.holds(lease_name(account)),
        others=_others(world),
    )


def _others(world: PoolWorld) -> frozenset[AccountId]:
    """Accounts that are never cleaned: those of fleet.toml, and those of the registry of every other kind."""
    fleet = world.fleet
    named = [*(s.account for s in fleet.services), *(c.account for c in fleet.clients)]
    named += [fleet.tools.account, fleet.tools.management]
    named += [row.account for row in world.accounts.registry.rows() if row.kind != "test"]
    return frozenset(account for account in named if account is not None)


def _move(world: PoolWorld, account: AccountId, unit: str) -> None:
    accounts = world.accounts
    patiently(accounts.clock, lambda: accounts.accounts.move(account, unit), _CALLS, (Throttled,))


def _delete_stacks(world: PoolWorld, account: AccountId) -> tuple[str, ...]:
    """Every stack of a service in every Region of the fleet; what deletion kept on purpose."""
    regions = world.fleet.regions
    found = together(regions, lambda number: _delete_in(world, Place(account, regions[number])))
    return tuple(item for kept in found for item in kept)


def _delete_in(world: PoolWorld, place: Place) -> tuple[str, ...]:
    cleaner, clock = world.cleaner, world.accounts.clock
    stacks = patiently(clock, lambda: cleaner.stacks(place), _CALLS, (Throttled,))
    for stack in stacks:
        if not world.keeper.holds(lease_name(place.account)):
            raise OperationFailed(f"the lease of account {place.account} was lost while it was cleaned")
        cleaner.delete(place, stack.stack_id)
    kept: list[str] = []
    for stack in stacks:
        _wait_for_deletion(world, place, stack)
        kept += cleaner.kept(place, stack.stack_id)
    if patiently(clock, lambda: cleaner.stacks(place), _CALLS, (Throttled,)):
        raise OperationFailed(f"account {place.account} still has stacks in {place.region}")
    return tuple(kept)


def _wait_for_deletion(world: PoolWorld, place: Place, stack: StackSnapshot) -> None:
    def look() -> StackSnapshot | None:
        found = world.cleaner.describe(place, stack.stack_id)
        if found is None:
            raise NotFound(f"the deleted stack {stack.stack_id} cannot be found by its id")
        return None if found.status in IN_PROGRESS else found

    late = OperationFailed(f"the deletion of {stack.stack_id} was not over after {_DELETION}")
    end = wait_until(world.accounts.clock, look, _DELETION, lambda: late)
    if end.status is not StackStatus.DELETE_COMPLETE:
        raise OperationFailed(f"{stack.stack_id} could not be deleted ({end.status}): {end.reason}")
