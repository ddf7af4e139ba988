"""Floor 2, parameters: what each target's template gets. Pure.

Software is exactly the same for every client: besides what Tidegate itself supplies, only cosmetic parameters may
differ, and every declared parameter gets an explicit value, so that what stands in an account can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.model.fleet import Client, Fleet, FleetService
from pipeline.model.release import Parameter

__all__ = ["STANDARD", "ParameterFault", "parameters_for"]

STANDARD = ("Client", "PrimaryRegion", "PeerRegions", "OrganizationId", "ServiceAccount", "ServiceRegion")


@dataclass(frozen=True, slots=True)
class ParameterFault:
    """One parameter that cannot be given a value."""

    owner: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.owner}: parameter {self.name} {self.reason}"


def parameters_for(
    declared: Sequence[Parameter], fleet: Fleet, service: FleetService, client: Client | None
) -> tuple[tuple[tuple[str, str], ...], tuple[ParameterFault, ...]]:
    """(sorted name and value of every declared parameter, faults). client None: the service's own account.

    A NoEcho parameter must have a default: secrets come by dynamic reference, never through a plan.
    """
    owner = client.name if client is not None else f"@{service.name}"
    given = dict(client.cosmetic) if client is not None else {}
    given.update(_standard(fleet, service, client))
    values: list[tuple[str, str]] = []
    faults: list[ParameterFault] = []
    for parameter in declared:
        if parameter.no_echo:
            if parameter.default is None:
                faults.append(ParameterFault(owner, parameter.name, "is NoEcho and has no default"))
            continue
        value = given.get(parameter.name, parameter.default)
        if value is None:
            faults.append(ParameterFault(owner, parameter.name, "has no default and nobody gives it a value"))
        else:
            values.append((parameter.name, value))
    return tuple(sorted(values)), tuple(faults)


def _standard(fleet: Fleet, service: FleetService, client: Client | None) -> dict[str, str]:
    regions = client.regions if client is not None else service.regions
    return {
        "Client": client.name if client is not None else service.name,
        "PrimaryRegion": regions[0],
        "PeerRegions": ",".join(regions[1:]),
        "OrganizationId": fleet.tools.organization,
        "ServiceAccount": service.account or "",
        "ServiceRegion": service.regions[0],
    }
