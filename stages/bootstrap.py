"""Floor 3, stages: units, accounts, roles, buckets and the key that everything else stands on. Re-runnable.

Whoever runs it is an administrator of the management account. It says what it did; where everything stands
already it does nothing. What belongs into fleet.toml comes back as values; writing the file is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pipeline.cloudformation import Template, template_body
from pipeline.decide.pool import UNITS, PoolState
from pipeline.errors import ConfigInvalid, NotFound, UsageError
from pipeline.model.fleet import Fleet
from pipeline.model.ids import AccountId
from pipeline.model.stack import StackSnapshot
from pipeline.ports import OwnStack, OwnStacks, Place, RegistryRow
from stages.accounts import AccountWorld, bring_home, burn, known_row, make_account
from stages.own_stack import NEW_ACCOUNT, Deployed, deploy_own_stack
from stages.together import together
from stages.trust import root_of, template_addresses, trusted_with

__all__ = ["SCOPES", "BootstrapWorld", "Bootstrapped", "Filled", "bootstrap"]

SCOPES = ("management", "tools", "service", "client", "test", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapWorld:
    """caller: (management account, ARN) of whoever bootstraps; that ARN is trusted by the roles of Tidegate."""

    accounts: AccountWorld
    stacks: OwnStacks
    caller: tuple[AccountId, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A value for fleet.toml: `key` of [table], or of the entry of [[table]] whose name is `name`."""

    table: str
    name: str
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrapped:
    """filled: what fleet.toml does not say yet. did: one line for each thing done. Both empty where everything
    stood already. outside: clients whose account
    is in another organisation; their stack is deployed by whoever owns the account."""

    filled: tuple[Filled, ...]
    did: tuple[str, ...]
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    kind: str
    name: str
    account: AccountId | None
    regions: tuple[str, ...]
    email: str = ""

    @property
    def label(self) -> str:
        return self.kind if self.kind == self.name else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What every step of one run shares."""

    world: BootstrapWorld
    fleet: Fleet
    organization: str
    members: frozenset[AccountId]
    tools: AccountId | None

    @property
    def home(self) -> str:
        return self.fleet.tools.region


def bootstrap(world: BootstrapWorld, fleet: Fleet, scope: str, name: str = "") -> Bootstrapped:
    """scope: one of SCOPES; name: of the service or client.

    UsageError, NotFound, ConfigInvalid before anything is touched; OperationFailed names what did not come about,
    everything else stands, and the same command goes on from there.
    """
    owners = _owners(fleet, scope, name)
    _check_management(fleet, world.caller[0])
    did: list[str] = []
    accounts = replace(world.accounts, said=_both(did.append, world.accounts.said))
    world = replace(world, accounts=accounts)
    for path in accounts.units.ensure(UNITS):
        accounts.said(f"made the organisational unit {path}")
    organization = accounts.accounts.organization()
    _check_organization(fleet, organization)
    rows = _make_accounts(world, owners)
    members = frozenset(account.id for account in accounts.accounts.accounts())
    tools = _tools_account(world, fleet)
    ground = _Ground(world=world, fleet=fleet, organization=organization, members=members, tools=tools)
    filled = [
        Filled(table="tools", name="", key="management", value=world.caller[0]),
        Filled(table="tools", name="", key="organization", value=organization),
    ]
    if scope in ("management", "tools", "all"):
        _deploy_management(ground)
    if scope in ("tools", "all"):
        filled += _deploy_tools(ground)
    targets = [(owner, row) for owner, row in zip(owners, rows, strict=True) if owner.kind != "tools"]
    outside = tuple(owner.name for owner, row in targets if row.account not in members)
    _deploy_targets(ground, [pair for pair in targets if pair[1].account in members])
    filled += [
        Filled(table=owner.kind, name=owner.name, key="account", value=row.account)
        for owner, row in targets
        if row.account is not None
    ]
    missing = tuple(value for value in filled if value not in _known(fleet))
    return Bootstrapped(filled=missing, did=tuple(did), outside=outside)


# --- what is asked for -------------------------------------------------------------------------------


def _check_organization(fleet: Fleet, organization: str) -> None:
    named = fleet.tools.organization
    if named and named != organization:
        raise UsageError(
            f"fleet.toml is of the organisation {named}, and these credentials are of {organization}",
            state="no account was made or entered",
            remedy="use that organisation's credentials; or, for a new beginning, take [tools] and every `account`"
            " out of fleet.toml",
        )


def _owners(fleet: Fleet, scope: str, name: str) -> tuple[_Owner, ...]:
    if scope not in SCOPES or (scope in ("service", "client")) != bool(name):
        raise UsageError(
            f"bootstrap knows no {' '.join((scope, name)).strip()!r}",
            remedy="write: release bootstrap management | tools | service NAME | client NAME | test | all",
        )
    tools = _Owner(kind="tools", name="tools", account=fleet.tools.account, regions=(fleet.tools.region,))
    services = [
        _Owner(kind="service", name=s.name, account=s.account, regions=s.regions) for s in fleet.services
    ]
    clients = [
        _Owner(kind="client", name=c.name, account=c.account, regions=c.regions, email=c.email)
        for c in fleet.clients
    ]
    match scope:
        case "all":
            return (tools, *services, *clients)
        case "tools":
            return (tools,)
        case "service" | "client":
            found = [o for o in (*services, *clients) if (o.kind, o.name) == (scope, name)]
            if not found:
                raise NotFound(
                    f"fleet.toml has no {scope} {name}",
                    state="nothing was touched",
                    remedy=f"add it as [[{scope}]] to fleet.toml first",
                )
            return tuple(found)
        case _:
            return ()


def _check_management(fleet: Fleet, caller: AccountId) -> None:
    wanted = fleet.tools.management
    if wanted is not None and wanted != caller:
        raise ConfigInvalid(
            f"the credentials are of account {caller}; fleet.toml has tools.management = {wanted!r}",
            state="nothing was touched",
            remedy="log in to the management account, then run the command again",
        )


def _both(first: Callable[[str], None], second: Callable[[str], None]) -> Callable[[str], None]:
    def said(line: str) -> None:
        first(line)
        second(line)

    return said


def _known(fleet: Fleet) -> frozenset[Filled]:
    """What fleet.toml says already."""
    tools = fleet.tools
    named = [
        ("tools", "", "management", tools.management),
        ("tools", "", "organization", tools.organization),
        ("tools", "", "account", tools.account),
        ("tools", "", "release_key", tools.release_key),
        ("tools", "", "journal_key", tools.journal_key),
        *(("service", found.name, "account", found.account) for found in fleet.services),
        *(("client", found.name, "account", found.account) for found in fleet.clients),
    ]
    return frozenset(Filled(table=t, name=n, key=k, value=value) for t, n, k, value in named if value)


# --- accounts ----------------------------------------------------------------------------------------


def _make_accounts(world: BootstrapWorld, owners: Sequence[_Owner]) -> tuple[RegistryRow, ...]:
    """A row with an account for each owner. Addresses are burnt one after the other, accounts made together."""
    rows = [_row_of(world.accounts, owner) for owner in owners]
    members = {account.id for account in world.accounts.accounts.accounts()}

    def make(number: int) -> RegistryRow:
        row, fresh = rows[number]
        if row.account is not None:
            if row.state == PoolState.CREATING and row.account in members:
                bring_home(world.accounts, row.account, row.kind)
            return row
        return make_account(world.accounts, row, owners[number].name, fresh=fresh)

    labels = [owner.label for owner in owners]
    return tuple(together(labels, make))


def _row_of(world: AccountWorld, owner: _Owner) -> tuple[RegistryRow, bool]:
    """(the row, whether this process has just burnt its address)."""
    row = known_row(world.registry, owner.kind, owner.name)
    if owner.account is None:
        return (row, False) if row else (burn(world, owner.kind, owner.name, email=owner.email), True)
    if row is None:
        return _adopt(world, owner, owner.account), False
    if row.account is None:
        return (
            world.registry.change(
                row.name, expected_state=row.state, row=replace(row, account=owner.account)
            ),
            False,
        )
    if row.account != owner.account:
        raise ConfigInvalid(
            f"fleet.toml has account {owner.account} for {owner.label}, the registry has {row.account}",
            state="nothing was touched",
            remedy="correct the account in fleet.toml; what an account is never changes",
        )
    return row, False


def _adopt(world: AccountWorld, owner: _Owner, account: AccountId) -> RegistryRow:
    """An account that exists already gets its row, and with it its external id."""
    known = {found.id: found.email for found in world.accounts.accounts()}
    name = owner.name if owner.kind == owner.name else f"{owner.kind}/{owner.name}"
    return world.registry.add(
        RegistryRow(
            name=name,
            kind=owner.kind,
            email=known.get(account, owner.email),
            account=account,
            state=PoolState.CREATING,
            external_id=world.secret(),
        )
    )


def _tools_account(world: BootstrapWorld, fleet: Fleet) -> AccountId | None:
    row = known_row(world.accounts.registry, "tools", "tools")
    return fleet.tools.account or (row.account if row else None)


# --- stacks ------------------------------------------------------------------------------------------


def _deploy_management(ground: _Ground) -> None:
    units = ground.world.accounts.units
    place = Place(ground.world.caller[0], ground.home)
    pool = [units.unit(path).arn for path in ("", "Test/Pool", "Test/Cleaning", "Test/Quarantine")]
    parameters = {
        "ToolsAccount": ground.tools or "",
        "TestUnitPath": _test_units(ground),
        "TestUnits": ",".join(pool),
    }
    _deploy(ground, place, Template.MANAGEMENT, parameters, trusted=("TrustedAccounts", "TrustedPrincipals"))


def _deploy_tools(ground: _Ground) -> list[Filled]:
    account, management = _need_tools(ground), ground.world.caller[0]
    outside = [c.account for c in ground.fleet.clients if c.account and c.account not in ground.members]
    listed = ",".join(sorted(root_of(found, ground.home) for found in outside))

    def deploy(number: int) -> Deployed:
        if number == 0:
            return _deploy(
                ground,
                Place(account, ground.home),
                Template.TOOLS,
                {"ManagementAccount": management, "TestUnitPath": _test_units(ground)},
                trusted=("TrustedAccounts", "TrustedPrincipals"),
            )
        return _deploy(
            ground,
            Place(account, ground.fleet.regions[number - 1]),
            Template.TOOLS_REGION,
            {"OrganizationId": ground.organization, "ListedAccounts": listed},
        )

    labels = ["tools", *(f"tools {region}" for region in ground.fleet.regions)]
    home = together(labels, deploy)[0]
    _mark_ready(ground, known_row(ground.world.accounts.registry, "tools", "tools"))
    return [
        Filled(table="tools", name="", key="account", value=account),
        Filled(table="tools", name="", key="release_key", value=home.output("ReleaseKey")),
        Filled(table="tools", name="", key="journal_key", value=home.output("JournalKey")),
    ]


def _deploy_targets(ground: _Ground, targets: Sequence[tuple[_Owner, RegistryRow]]) -> None:
    if not targets:
        return
    tools = _need_tools(ground)

    def deploy(number: int) -> Deployed:
        owner, row = targets[number]
        assert row.account is not None
        parameters = {
            "ToolsAccount": tools,
            "ExternalId": row.external_id,
            "OrganizationId": ground.organization,
            "TemplateUrls": ",".join(template_addresses(tools, owner.regions)),
        }
        done = _deploy(
            ground,
            Place(row.account, ground.home),
            Template.TARGET,
            parameters,
            trusted=("RepairAccounts", "RepairPrincipals"),
        )
        _mark_ready(ground, row)
        return done

    together([owner.label for owner, _ in targets], deploy)


def _deploy(
    ground: _Ground,
    place: Place,
    template: Template,
    parameters: dict[str, str],
    trusted: tuple[str, str] | None = None,
) -> Deployed:
    """trusted: names of the parameters for the accounts and patterns of trusted principals; earlier ones stay."""
    request = OwnStack(
        place=place,
        stack=template.value,
        template=template_body(template),
        parameters=tuple(parameters.items()),
    )

    def complete(found: StackSnapshot | None) -> OwnStack:
        if trusted is None:
            return request
        earlier = dict(found.parameters) if found else {}
        both = trusted_with(ground.world.caller[1], earlier.get(trusted[1], ""))
        # What this run does not know (the Tools account, from a machine without the registry) is not forgotten.
        known = {key: value or earlier.get(key, "") for key, value in parameters.items()}
        values = {**known, trusted[0]: ",".join(both.accounts), trusted[1]: ",".join(both.principals)}
        return replace(request, parameters=tuple(values.items()))

    # The access role of an account made a moment ago is not there yet.
    usable = NEW_ACCOUNT if _is_young(ground, place) else timedelta(0)
    done = deploy_own_stack(ground.world.stacks, ground.world.accounts.clock, request, complete, usable)
    if done.changed:
        ground.world.accounts.said(f"deployed {template.value} in account {place.account}, {place.region}")
    return done


def _is_young(ground: _Ground, place: Place) -> bool:
    row = ground.world.accounts.registry.by_account(place.account)
    return row is not None and row.state == PoolState.CREATING


def _mark_ready(ground: _Ground, row: RegistryRow | None) -> None:
    if row is not None and row.state != PoolState.READY:
        ground.world.accounts.registry.change(
            row.name, expected_state=row.state, row=replace(row, state=PoolState.READY)
        )


def _test_units(ground: _Ground) -> str:
    return ground.world.accounts.units.unit("Test").entity_path + "*"


def _need_tools(ground: _Ground) -> AccountId:
    if ground.tools is None:
        raise NotFound(
            "there is no Tools account yet",
            state="accounts that were asked for may exist already; nothing was deployed in them",
            remedy="run: release bootstrap tools",
        )
    return ground.tools
