"""Floor 1, the fleet: services, clients and subscriptions as fleet.toml states them. No effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time

from pipeline.model.ids import AccountId

__all__ = ["Client", "Fleet", "FleetService", "Pin", "Tools", "Window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Where Tidegate itself lives.

    management: the organisation's management account; account: the Tools account; region: its home Region.
    release_key: ARN of the KMS key that signs manifests, pinned here and never read from a manifest.
    organization: `o-…`; empty until bootstrap has filled it in.
    """

    management: AccountId | None = None
    account: AccountId | None = None
    region: str = "us-east-1"
    release_key: str = ""
    organization: str = ""

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
    """When a client may be changed: local times of `timezone`, an IANA name; days are mon…sun."""

    days: tuple[str, ...]
    start: time
    end: time
    timezone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Keep a client on what it runs, for a reason and until a day (ISO date)."""

    service: str
    reason: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """email: the mailbox whose plus addresses test accounts get. health_hosts: patterns such as *.example.com."""

    email: str
    tools: Tools
    services: tuple[FleetService, ...]
    clients: tuple[Client, ...]
    health_hosts: tuple[str, ...] = field(default=())

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
