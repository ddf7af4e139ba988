"""Floor 4, composition: what `release bootstrap` needs: Organizations, the access role, and fleet.toml to fill in."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.compose.house import House
from pipeline.config import set_value
from pipeline.config.project import FLEET_FILE
from stages.accounts import AccountWorld
from stages.bootstrap import Bootstrapped, BootstrapWorld, bootstrap

__all__ = ["found"]


def found(house: House, scope: str, name: str, say: Callable[[str], None]) -> Bootstrapped:
    """Make accounts and roles, and write what came of it into fleet.toml."""
    from pipeline.adapters.aws.bootstrap_stacks import BootstrapStacks
    from pipeline.adapters.aws.organizations import AwsOrganizations
    from pipeline.adapters.aws.session import AMBIENT

    caller = house.aws.caller(AMBIENT)
    organizations = AwsOrganizations(house.aws, AMBIENT)
    accounts = AccountWorld(
        accounts=organizations,
        units=organizations,
        registry=house.store.registry,
        clock=house.clock,
        mailbox=house.fleet.email,
        said=say,
    )
    stacks = BootstrapStacks(house.aws, house.access_role(caller[0], AMBIENT))
    done = bootstrap(
        BootstrapWorld(accounts=accounts, stacks=stacks, caller=caller), house.fleet, scope, name
    )
    path = house.root / FLEET_FILE
    for filled in done.filled:
        selector = ("name", filled.name) if filled.name else None
        set_value(path, filled.table, selector, filled.key, filled.value)
    house.read_again()
    return done
