"""Floor 2, freezes and pins: which of them speak of a target, and which are over and should go. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime

from pipeline.model.fleet import Client, Fleet, Freeze, Pin

__all__ = ["expired", "freezes_of", "pin_of"]


def freezes_of(fleet: Fleet, service: str, owner: str, now: datetime) -> tuple[Freeze, ...]:
    """Those of a target that hold now or will, by start. owner: a client, or `@SERVICE`."""
    found = [freeze for freeze in fleet.freezes if freeze.covers(service, owner) and freeze.end > now]
    return tuple(sorted(found, key=lambda freeze: (freeze.start, freeze.end, freeze.reason)))


def pin_of(client: Client, service: str, today: date) -> Pin | None:
    """The pin that keeps the client on what it runs; its last day is still within it."""
    holding = (p for p in client.pins if p.service == service and date.fromisoformat(p.until) >= today)
    return next(holding, None)


def expired(fleet: Fleet, service: str, now: datetime) -> tuple[str, ...]:
    """One sentence for each pin and freeze of this service that is over: whoever wrote it expected it to matter."""
    today = now.astimezone(UTC).date()
    pins = [
        f"{client.name}'s pin expired after {pin.until} ({pin.reason}): it gets this release"
        for client in fleet.subscribers(service)
        for pin in client.pins
        if pin.service == service
        and date.fromisoformat(pin.until) < today
        and pin_of(client, service, today) is None
    ]
    subscribed = {client.name for client in fleet.subscribers(service)}
    freezes = [
        f"the freeze of {freeze.scope} ended on {freeze.end.astimezone(UTC):%Y-%m-%d %H:%M}Z"
        f" ({freeze.reason}); take it out of fleet.toml"
        for freeze in fleet.freezes
        if freeze.end <= now
        and freeze.service in ("", service)
        and (not freeze.client or freeze.client in subscribed)
    ]
    return (*pins, *freezes)
