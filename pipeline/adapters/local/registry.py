"""Room: adapters/local. The registry of accounts in SQLite. It deletes no row: what was burnt stays so."""

from __future__ import annotations

import sqlite3

from pipeline.adapters.local.database import Database
from pipeline.adapters.rows import check_change, email_key, taken, unknown_row
from pipeline.model.ids import AccountId
from pipeline.ports import RegistryRow

__all__ = ["SqliteRegistry"]

_SELECT = "SELECT name, kind, email, account, state, external_id, note FROM registry"
_BY = {
    "name": _SELECT + " WHERE name = ?",
    "email_key": _SELECT + " WHERE email_key = ?",
    "account": _SELECT + " WHERE account = ?",
}


class SqliteRegistry:
    """ports.Registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, kind: str = "") -> tuple[RegistryRow, ...]:
        with self._database.read() as connection:
            found = connection.execute(
                _SELECT + " WHERE ?1 = '' OR kind = ?1 ORDER BY name", (kind,)
            ).fetchall()
        return tuple(_row(row) for row in found)

    def row(self, name: str) -> RegistryRow | None:
        with self._database.read() as connection:
            return _find(connection, "name", name)

    def by_account(self, account: AccountId) -> RegistryRow | None:
        with self._database.read() as connection:
            return _find(connection, "account", account)

    def add(self, row: RegistryRow) -> RegistryRow:
        with self._database.write() as connection:
            _refuse_duplicates(connection, row)
            connection.execute(
                "INSERT INTO registry VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row.name,
                    row.kind,
                    row.email,
                    email_key(row.email),
                    row.account,
                    row.state,
                    row.external_id,
                    row.note,
                ),
            )
        return row

    def change(self, name: str, *, expected_state: str, row: RegistryRow) -> RegistryRow:
        with self._database.write() as connection:
            found = _find(connection, "name", name)
            if found is None:
                raise unknown_row(name)
            check_change(found, row, expected_state)
            if row.account is not None and row.account != found.account:
                _refuse_account(connection, row.account)
            connection.execute(
                "UPDATE registry SET account = ?, state = ?, external_id = ?, note = ? WHERE name = ?",
                (row.account, row.state, row.external_id, row.note, name),
            )
        return row


def _refuse_duplicates(connection: sqlite3.Connection, row: RegistryRow) -> None:
    if _find(connection, "name", row.name) is not None:
        raise taken("name", row.name, "the row of that name")
    key = email_key(row.email)
    if key is not None and (other := _find(connection, "email_key", key)) is not None:
        raise taken("e-mail address", row.email, other.name)
    if row.account is not None:
        _refuse_account(connection, row.account)


def _refuse_account(connection: sqlite3.Connection, account: AccountId) -> None:
    other = _find(connection, "account", account)
    if other is not None:
        raise taken("account", account, other.name)


def _find(connection: sqlite3.Connection, column: str, value: str) -> RegistryRow | None:
    row = connection.execute(_BY[column], (value,)).fetchone()
    return None if row is None else _row(row)


def _row(row: tuple[str, str, str, str | None, str, str, str]) -> RegistryRow:
    name, kind, email, account, state, external_id, note = row
    return RegistryRow(
        name=name,
        kind=kind,
        email=email,
        account=None if account is None else AccountId(account),
        state=state,
        external_id=external_id,
        note=note,
    )
