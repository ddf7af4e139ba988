"""Properties: what was written is what is read, and no file can make the reader do anything but refuse."""

from __future__ import annotations

import json
import string
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import load_fleet, load_service, set_value
from pipeline.config.values import known_regions
from pipeline.errors import ConfigInvalid
from pipeline.model.fleet import Client, Fleet, FleetService, Freeze, Pin, Tools, Window
from pipeline.model.ids import AccountId

REGIONS = sorted(known_regions())
names = st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=12)
account_ids = st.text(string.digits, min_size=12, max_size=12)
regions = st.lists(st.sampled_from(REGIONS), min_size=1, max_size=3, unique=True).map(tuple)
windows = st.builds(
    Window,
    days=st.lists(st.sampled_from(("mon", "tue", "sat", "sun")), min_size=1, unique=True).map(tuple),
    start=st.times().map(lambda t: f"{t.hour % 12:02}:{t.minute:02}"),
    end=st.times().map(lambda t: f"{12 + t.hour % 12}:{t.minute:02}"),
    timezone=st.sampled_from(("UTC", "America/New_York", "Australia/Sydney")),
)


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    services = draw(st.lists(names, max_size=3, unique=True))
    clients = draw(st.lists(names, max_size=5, unique=True))
    ids = draw(st.lists(account_ids, min_size=10, max_size=10, unique=True))
    return Fleet(
        email="qa@example.com",
        tools=Tools(account=AccountId(ids.pop())),
        services=tuple(
            FleetService(name=n, account=AccountId(ids.pop()), regions=draw(regions), path=n)
            for n in services
        ),
        clients=tuple(draw(a_client(name, AccountId(ids.pop()), services)) for name in clients),
        freezes=tuple(draw(st.lists(freezes(clients, services), max_size=3))),
    )


def freezes(clients: list[str], services: list[str]) -> st.SearchStrategy[Freeze]:
    """Of the fleet, of a client or of a service."""
    moments = st.integers(0, 20 * 365 * 86400).map(
        lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    )
    scopes = [("", ""), *((client, "") for client in clients), *(("", service) for service in services)]
    return st.builds(
        lambda reason, start, length, scope: Freeze(
            reason=reason, start=start, end=start + length, client=scope[0], service=scope[1]
        ),
        texts,
        moments,
        st.integers(1, 10**7).map(lambda seconds: timedelta(seconds=seconds)),
        st.sampled_from(scopes),
    )


@st.composite
def a_client(draw: st.DrawFn, name: str, account: AccountId, services: list[str]) -> Client:
    subscribed = draw(st.lists(st.sampled_from(services), unique=True)) if services else []
    pins = [
        Pin(service=s, reason=draw(texts), until="2026-12-31") for s in subscribed[:1] if draw(st.booleans())
    ]
    return Client(
        name=name,
        account=account,
        email=f"clients+{name}@example.com",
        regions=draw(regions),
        services=tuple(subscribed),
        ring=draw(names),
        window=draw(st.none() | windows),
        cosmetic=tuple(sorted(draw(st.dictionaries(st.sampled_from(("Brand", "Logo")), texts)).items())),
        pins=tuple(pins),
        suspended=draw(st.booleans()),
        size=draw(st.just("") | names),
        canary=draw(st.booleans()),
    )


def text_of(fleet: Fleet) -> str:
    """The fleet as a person would write it. A JSON string of printable characters is a TOML string."""

    def q(value: object) -> str:
        return json.dumps(value, ensure_ascii=False)

    lines = ["[accounts]", f"email = {q(fleet.email)}", "[tools]", f"account = {q(fleet.tools.account)}"]
    for s in fleet.services:
        lines += ["[[service]]", f"name={q(s.name)}", f"account={q(s.account)}", f"regions={q(s.regions)}"]
    for c in fleet.clients:
        lines += ["[[client]]", f"name={q(c.name)}", f"account={q(c.account)}", f"email={q(c.email)}"]
        lines += [f"regions={q(c.regions)}", f"services={q(c.services)}", f"ring={q(c.ring)}"]
        lines += [f"cosmetic = {{ {', '.join(f'{k} = {q(v)}' for k, v in c.cosmetic)} }}"]
        pins = (f"{{service={q(p.service)}, reason={q(p.reason)}, until={q(p.until)}}}" for p in c.pins)
        lines += [f"pins = [{', '.join(pins)}]", f"suspended = {q(c.suspended)}"]
        lines += [f"size = {q(c.size)}"] if c.size else []
        lines += [f"canary = {q(c.canary)}"]
        if c.window:
            w = c.window
            lines += [
                f"window = {{days={q(w.days)}, from='{w.start}', to='{w.end}', timezone='{w.timezone}'}}"
            ]
    for f in fleet.freezes:
        lines += ["[[freeze]]", f"reason={q(f.reason)}", f"from={f.start.isoformat()}"]
        lines += [f"until={q(f.end.isoformat())}"]
        lines += [f"client={q(f.client)}"] if f.client else []
        lines += [f"service={q(f.service)}"] if f.service else []
    return "\n".join(lines) + "\n"


@given(fleets())
@settings(max_examples=60, deadline=None)
def test_a_valid_fleet_is_read_as_it_was_written(fleet: Fleet) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.toml"
        path.write_text(text_of(fleet), encoding="utf-8")
        assert load_fleet(path) == fleet


def lines_of(attempt: Callable[[], object]) -> tuple[str, ...]:
    """The faults, none where it was accepted. Anything but ConfigInvalid fails the test that called."""
    try:
        attempt()
    except ConfigInvalid as refused:
        return refused.details or ("refused without a line",)
    return ()


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@settings(max_examples=150, deadline=None)
def test_arbitrary_bytes_are_refused_and_never_crash(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("fleet.toml", "release.toml"):
            (Path(folder) / name).write_bytes(content)
        for attempt in (
            lambda: load_fleet(Path(folder) / "fleet.toml"),
            lambda: load_service(Path(folder)),
            lambda: set_value(Path(folder) / "fleet.toml", "tools", None, "account", ""),
        ):
            assert all(line.isprintable() for line in lines_of(attempt))


KEYS = (
    "accounts",
    "service",
    "client",
    "tools",
    "health",
    "name",
    "regions",
    "email",
    "window",
    "pins",
    "stack",
    "waves",
    "freeze",
    "from",
    "until",
    "rollback",
)
values = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(("intake", "rest", "1h")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=12,
)


def toml_value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps(value)


@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_value_under_any_known_key_is_refused_in_our_own_words(document: dict[str, object]) -> None:
    text = "".join(f"{key} = {toml_value(value)}\n" for key, value in document.items())
    with tempfile.TemporaryDirectory() as folder:
        for name, read in (
            ("fleet.toml", load_fleet),
            ("release.toml", lambda path: load_service(path.parent)),
        ):
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            lines = lines_of(partial(read, path))
            assert not any("pydantic" in line or "Input should" in line for line in lines)
