"""Room: adapters/local. Journal, leases, latch and registry in one SQLite file. No rules here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.adapters.local.database import Database
from pipeline.adapters.local.journal import SqliteJournal
from pipeline.adapters.local.latch import SqliteLatch
from pipeline.adapters.local.leases import SqliteLeases
from pipeline.adapters.local.registry import SqliteRegistry
from pipeline.ports import Clock

__all__ = ["LocalStore", "open_store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStore:
    """database: only for `close()`; everything else goes through the ports."""

    database: Database
    journal: SqliteJournal
    leases: SqliteLeases
    latch: SqliteLatch
    registry: SqliteRegistry

    def close(self) -> None:
        self.database.close()


def open_store(path: Path, clock: Clock) -> LocalStore:
    """Touches no disk yet: the file appears with the first use."""
    database = Database(path)
    return LocalStore(
        database=database,
        journal=SqliteJournal(database, clock),
        leases=SqliteLeases(database, clock),
        latch=SqliteLatch(database, clock),
        registry=SqliteRegistry(database),
    )
