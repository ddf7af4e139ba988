"""Floor 1, the fleet: services, clients and subscriptions as fleet.toml states them. No effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pipeline.model.ids import AccountId

__all__ = ["Client", "Fleet", "FleetService", "Freeze", "Pin", "Tools", "Window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Where Tidegate itself lives.

    management: the organisation's management account; account: the Tools account; region: its home Region.
    release_key: ARN of the KMS key that signs manifests, pinned here and never read from a manifest.
    journal_key: ARN of the KMS key that signs the heads of the journal; empty where they are not signed.
    organization: `o-…`; empty until bootstrap has filled it in.
    """

    management: AccountId | None = None
    account: AccountId | None = None
    region: str = "us-east-1"
    release_key: str = ""
    organization: str = ""
    journal_key: str = ""

    @property
    def bucket_prefix(self) -> str:
        """The artifact bucket of a Region is `PREFIX-REGION`."""
        return f"tidegate-artifacts-{self.account}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetService:
    name: str
    account: AccountId | None
    regions: tuple[str, ...]
    path: str = ""
    """Folder of the service's sources, relative to fleet.toml; the service's name by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a client may be changed: local times of `timezone`, an IANA name; days are mon…sun.

    start, end: ISO 8601 times of day, `06:00`. An end that is not after the start is on the next day; a window
    belongs to the day on which it starts.
    """

    days: tuple[str, ...]
    start: str
    end: str
    timezone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Keep a client on what it runs, for a reason and until a day (ISO date)."""

    service: str
    reason: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Nothing within its scope is changed from `start` until just before `end`, for a reason.

    client and service narrow the scope: both empty is the whole fleet, the services' own accounts included; both
    given is this client's stack of this service.
    """

    reason: str
    start: datetime
    end: datetime
    client: str = ""
    service: str = ""

    @property
    def scope(self) -> str:
        """How a person calls what is frozen."""
        if self.client:
            return f"{self.client}'s {self.service}" if self.service else self.client
        return self.service or "the fleet"

    def covers(self, service: str, owner: str) -> bool:
        """Whether it speaks of this target; owner: a client's name, or `@SERVICE` for a service's own account."""
        return self.service in ("", service) and self.client in ("", owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """size: a company's own word for how large the client is, such as `small`; canaries are drawn inside it.

    canary: False keeps the client out of the canary for as long as others are left.
    """

    name: str
    account: AccountId | None
    email: str = ""
    regions: tuple[str, ...]
    """The first is its PrimaryRegion."""
    services: tuple[str, ...]
    ring: str = "default"
    window: Window | None = None
    cosmetic: tuple[tuple[str, str], ...] = ()
    pins: tuple[Pin, ...] = ()
    suspended: bool = False
    size: str = ""
    canary: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """email: the mailbox whose plus addresses test accounts get. health_hosts: patterns such as *.example.com."""

    email: str
    tools: Tools
    services: tuple[FleetService, ...]
    clients: tuple[Client, ...]
    health_hosts: tuple[str, ...] = field(default=())
    freezes: tuple[Freeze, ...] = ()

    def service(self, name: str) -> FleetService | None:
        return next((s for s in self.services if s.name == name), None)

    def client(self, name: str) -> Client | None:
        return next((c for c in self.clients if c.name == name), None)

    def subscribers(self, service: str) -> tuple[Client, ...]:
        return tuple(c for c in self.clients if service in c.services)

    @property
    def regions(self) -> tuple[str, ...]:
        """Every Region that anything runs in: each needs an artifact bucket. Sorted."""
        found = {self.tools.region}
        for service in self.services:
            found.update(service.regions)
        for client in self.clients:
            found.update(client.regions)
        return tuple(sorted(found))
