"""Floor 3, config: fleet.toml, from a path to the model's Fleet, with every fault of the file at once.

Checks that need two entries (duplicates, unknown services) run over what could be read even where other entries
are faulty, so that one run of a command shows everything there is to correct.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pipeline.config.explain import check, labelled
from pipeline.config.faults import Fault, config_invalid, nearest, place, shown
from pipeline.config.tables import ClientTable, FleetFile, FreezeTable, WindowTable
from pipeline.config.toml import UNQUOTED, Parsed, read_toml
from pipeline.model.fleet import Client, Fleet, FleetService, Freeze, Pin, Tools, Window
from pipeline.model.ids import AccountId, account_id

__all__ = ["load_fleet", "read_fleet"]

Path_ = tuple[str | int, ...]


def load_fleet(path: Path) -> Fleet:
    """ConfigInvalid with every fault of the file; nothing else is ever raised for what a file holds."""
    fleet, faults = read_fleet(path, path.name)
    if fleet is None:
        raise config_invalid(faults)
    return fleet


def read_fleet(path: Path, label: str) -> tuple[Fleet | None, list[Fault]]:
    parsed, faults = read_toml(path, label)
    if parsed is None:
        return None, faults
    tables, faults = check(FleetFile, parsed, label)
    faults += [
        Fault(file=label, at=place(at), text=text + labelled(parsed, at))
        for at, text in _between_entries(parsed)
    ]
    if tables is not None:
        faults += [
            Fault(
                file=label, at=f"freeze[{number}].until", text="is not after `from`; a freeze needs a length"
            )
            for number, freeze in enumerate(map(_freeze, tables.freeze))
            if freeze.end <= freeze.start
        ]
    if tables is None or faults:
        return None, faults
    return _fleet(tables), []


# --- what needs two entries ------------------------------------------------------------------------


def _between_entries(parsed: Parsed) -> Iterator[tuple[Path_, str]]:
    yield from _repeated(_strings(parsed, "service", "name"), "names are used once")
    yield from _repeated(_strings(parsed, "client", "name"), "names are used once")
    yield from _repeated(_accounts(parsed), "every account belongs to one owner")
    yield from _same_email(_strings(parsed, "client", "email"))
    for kind in ("service", "client"):
        for number, entry in enumerate(_entries(parsed, kind)):
            yield from _repeated(_items(entry, (kind, number), "regions"), "name each Region once")
    services = [name for _, name in _strings(parsed, "service", "name")]
    for number, entry in enumerate(_entries(parsed, "client")):
        yield from _subscriptions(entry, ("client", number), services)
        yield from _window(entry, ("client", number))
    for number, entry in enumerate(_entries(parsed, "freeze")):
        yield from _scope(parsed, entry, ("freeze", number), services)


def _scope(
    parsed: Parsed, entry: Mapping[str, object], at: Path_, services: list[str]
) -> Iterator[tuple[Path_, str]]:
    """A freeze of somebody who does not exist would freeze nobody, unseen."""
    client, service = entry.get("client"), entry.get("service")
    clients = {str(e.get("name")): e for e in _entries(parsed, "client")}
    if isinstance(client, str) and client not in clients:
        yield (*at, "client"), f"no [[client]] is named {shown(client)}; {nearest(client, list(clients))}"
    if not isinstance(service, str):
        return
    if service not in services:
        yield (*at, "service"), f"no [[service]] is named {shown(service)}; {nearest(service, services)}"
    elif isinstance(client, str) and client in clients:
        subscribed = clients[client].get("services")
        if isinstance(subscribed, list) and service not in subscribed:
            yield (*at, "service"), f"{client} does not subscribe to {shown(service)}"


def _repeated(found: list[tuple[Path_, str]], why: str) -> Iterator[tuple[Path_, str]]:
    first: dict[str, Path_] = {}
    for at, value in found:
        if value in first:
            yield at, f"{shown(value)} is already {place(first[value])}; {why}"
        first.setdefault(value, at)


def _same_email(found: list[tuple[Path_, str]]) -> Iterator[tuple[Path_, str]]:
    first: dict[str, Path_] = {}
    for at, value in found:
        if value.lower() in first:
            yield (
                at,
                f"is the same address as {place(first[value.lower()])}; AWS takes an address once, in any case",
            )
        first.setdefault(value.lower(), at)


def _subscriptions(
    entry: Mapping[str, object], at: Path_, services: list[str]
) -> Iterator[tuple[Path_, str]]:
    items = _items(entry, at, "services")
    yield from _repeated(items, "subscribe once")
    for where, service in items:
        if service not in services:
            yield where, f"no [[service]] is named {shown(service)}; {nearest(service, services)}"
    pins = entry.get("pins")
    rows = pins if isinstance(pins, list) else []
    pinned = [
        ((*at, "pins", n, "service"), pin["service"])
        for n, pin in enumerate(rows)
        if isinstance(pin, dict) and isinstance(pin.get("service"), str)
    ]
    yield from _repeated(pinned, "pin a service once")
    subscribed = [service for _, service in items]
    for where, service in pinned:
        if service not in subscribed:
            yield where, f"this client does not subscribe to {shown(service)}; {nearest(service, subscribed)}"


def _window(entry: Mapping[str, object], at: Path_) -> Iterator[tuple[Path_, str]]:
    window = entry.get("window")
    if not isinstance(window, dict):
        return
    yield from _repeated(_items(window, (*at, "window"), "days"), "name each day once")
    if window.get("from") is not None and window.get("from") == window.get("to"):
        yield (*at, "window", "to"), "is the same time as from; a window needs a length"


def _entries(parsed: Mapping[str, object], kind: str) -> list[Mapping[str, object]]:
    """The entries of [[kind]], each at its own number; what is no table counts as an empty one."""
    rows = parsed.get(kind)
    return [row if isinstance(row, dict) else {} for row in rows] if isinstance(rows, list) else []


def _strings(parsed: Parsed, kind: str, key: str) -> list[tuple[Path_, str]]:
    rows = ((number, entry.get(key)) for number, entry in enumerate(_entries(parsed, kind)))
    return [((kind, number, key), value) for number, value in rows if isinstance(value, str) and value]


def _items(entry: Mapping[str, object], at: Path_, key: str) -> list[tuple[Path_, str]]:
    rows = entry.get(key)
    found = enumerate(rows) if isinstance(rows, list) else ()
    return [((*at, key, number), item) for number, item in found if isinstance(item, str)]


def _accounts(parsed: Parsed) -> list[tuple[Path_, str]]:
    tools = parsed.get("tools")
    own: list[tuple[Path_, str]] = []
    if isinstance(tools, dict):
        own = [(("tools", k), tools[k]) for k in ("management", "account") if isinstance(tools.get(k), str)]
    rows = own + _strings(parsed, "service", "account") + _strings(parsed, "client", "account")
    return [(at, value) for at, value in rows if value and not value.startswith(UNQUOTED)]


# --- into the model --------------------------------------------------------------------------------


def _fleet(tables: FleetFile) -> Fleet:
    tools = tables.tools
    return Fleet(
        email=tables.accounts.email,
        tools=Tools(
            management=_id(tools.management),
            account=_id(tools.account),
            region=tools.region,
            release_key=tools.release_key,
            journal_key=tools.journal_key,
            organization=tools.organization,
        ),
        services=tuple(
            FleetService(name=s.name, account=_id(s.account), regions=tuple(s.regions), path=s.path or s.name)
            for s in tables.service
        ),
        clients=tuple(_client(c) for c in tables.client),
        health_hosts=tuple(tables.health.allow),
        freezes=tuple(map(_freeze, tables.freeze)),
    )


def _client(table: ClientTable) -> Client:
    return Client(
        name=table.name,
        account=_id(table.account),
        email=table.email,
        regions=tuple(table.regions),
        services=tuple(table.services),
        ring=table.ring,
        window=_window_of(table.window),
        cosmetic=tuple(sorted(table.cosmetic.items())),
        pins=tuple(Pin(service=p.service, reason=p.reason, until=p.until) for p in table.pins),
        suspended=table.suspended,
        size=table.size,
        canary=table.canary,
    )


def _window_of(table: WindowTable | None) -> Window | None:
    if table is None:
        return None
    return Window(
        days=tuple(table.days), start=_clock(table.start), end=_clock(table.end), timezone=table.timezone
    )


def _clock(at: time) -> str:
    return at.isoformat("minutes" if at == at.replace(second=0, microsecond=0) else "auto")


def _freeze(table: FreezeTable) -> Freeze:
    """Days and local times become instants; a day given as the end lies within the freeze."""
    end = table.end
    if not isinstance(end, datetime):
        end += timedelta(days=1)
    return Freeze(
        reason=table.reason,
        start=_instant(table.start, table.timezone, min),
        end=_instant(end, table.timezone, max),
        client=table.client or "",
        service=table.service or "",
    )


def _instant(
    given: datetime | date, timezone: str, choose: Callable[[datetime, datetime], datetime]
) -> datetime:
    """In UTC. choose: of the two instants that a time means where clocks are set back, or jump over it."""
    local = given if isinstance(given, datetime) else datetime.combine(given, time())
    if local.tzinfo is not None:
        return local.astimezone(UTC)
    first, second = (local.replace(tzinfo=ZoneInfo(timezone), fold=fold).astimezone(UTC) for fold in (0, 1))
    return choose(first, second)


def _id(text: str | None) -> AccountId | None:
    return None if text is None else account_id(text)
