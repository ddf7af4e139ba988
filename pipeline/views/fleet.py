"""Floor 2, views: the fleet, client by service, what is intended beside what the accounts run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.model.canonical import Json
from pipeline.views.text import WIDTH, count, cut, plain, table

__all__ = ["FLEET_FORMAT", "FleetRow", "fleet_json", "fleet_text"]

FLEET_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRow:
    """One stack. client: the target's owner, `@intake` for the service's own account; account: empty if unknown.

    intended, observed: releases such as `intake@1.3.0`, empty where there is none. note: pinned, suspended,
    quarantined, could not be read… readable: False where the account did not answer, so that nothing is known.
    behind: how many releases that have baked are newer than the one it runs.
    """

    client: str
    account: str
    region: str
    service: str
    intended: str
    observed: str
    note: str = ""
    readable: bool = True
    behind: int = 0

    @property
    def differs(self) -> bool:
        """What cannot be read is never as intended."""
        return not self.readable or self.intended != self.observed


def fleet_json(rows: Sequence[FleetRow]) -> Json:
    return {
        "format_version": FLEET_FORMAT,
        "targets": [
            {
                "client": row.client,
                "account": row.account or None,
                "region": row.region,
                "service": row.service,
                "intended": row.intended or None,
                "observed": plain(row.observed) or None,
                "differs": row.differs,
                "behind": row.behind,
                "note": plain(row.note) or None,
            }
            for row in _sorted(rows)
        ],
    }


def fleet_text(rows: Sequence[FleetRow]) -> str:
    """A row per client and Region, a column per service; a plain list where that would be too wide."""
    ordered = _sorted(rows)
    if not ordered:
        return "the fleet is empty\n"
    lines = _matrix(ordered)
    if max(map(len, lines)) > WIDTH:
        lines = _long(ordered)
    notes = [cut(f"  {r.client}/{r.region} {r.service}: {plain(r.note)}", WIDTH) for r in ordered if r.note]
    blocks = [lines, notes, [_summary(ordered), *_lagging(ordered)]]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _sorted(rows: Iterable[FleetRow]) -> list[FleetRow]:
    """Services' own accounts first, since `@` sorts before letters."""
    return sorted(rows, key=lambda row: (row.client, row.region, row.service))


def _matrix(rows: Sequence[FleetRow]) -> list[str]:
    services = sorted({row.service for row in rows})
    places = list(dict.fromkeys((row.client, row.region) for row in rows))
    cells = {(row.client, row.region, row.service): _cell(row) for row in rows}
    body = [(*place, *(cells.get((*place, service), "·") for service in services)) for place in places]
    return table(("client", "region", *services), body)


def _long(rows: Sequence[FleetRow]) -> list[str]:
    body = [(cut(f"{row.client}/{row.region}", 50), row.service, cut(_cell(row), 30)) for row in rows]
    return [cut(line, WIDTH) for line in table(("target", "service", "runs"), body)]


def _cell(row: FleetRow) -> str:
    observed, intended = _version(row.observed, row.service), _version(row.intended, row.service)
    if not row.readable:
        return f"unknown, wants {intended}"
    return f"{observed}, wants {intended}" if row.differs else observed


def _version(release: str, service: str) -> str:
    return plain(release).removeprefix(f"{service}@") or "none"


def _summary(rows: Sequence[FleetRow]) -> str:
    differing = sum(row.differs for row in rows)
    if not differing:
        return f"{count(len(rows), 'target')}, all as intended"
    return f"{differing} of {count(len(rows), 'target')} not as intended"


def _lagging(rows: Sequence[FleetRow]) -> list[str]:
    behind = [row for row in rows if row.behind]
    if not behind:
        return []
    last = max(behind, key=lambda row: row.behind)
    where = f"{last.client}/{last.region} {last.service}"
    return [
        f"{count(len(behind), 'target')} behind, the furthest by {count(last.behind, 'release')}: {where}"
    ]
