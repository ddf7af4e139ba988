"""Room: adapters. What every registry store refuses, in one place. It never touches a store."""

from __future__ import annotations

from pipeline.errors import NotFound, RequestRefused, StreamMoved
from pipeline.ports import RegistryRow

__all__ = ["check_change", "email_key", "taken", "unknown_row"]


def email_key(email: str) -> str | None:
    """How addresses are compared: AWS takes the letter case for nothing. None for a row without an address
    (an account that belongs to the client)."""
    return email.strip().casefold() or None


def taken(what: str, value: str, by: str) -> RequestRefused:
    return RequestRefused(
        f"the {what} {value} was used before, by {by}",
        state="nothing was written",
        remedy=f"use another {what}; names, accounts and addresses are never used twice",
    )


def unknown_row(name: str) -> NotFound:
    return NotFound(
        f"the registry has no account named {name}",
        state="nothing was written",
        remedy="list them with: release account list",
    )


def check_change(found: RegistryRow, row: RegistryRow, expected_state: str) -> None:
    """StreamMoved where the row is no longer in the expected state; RequestRefused where the change touches
    what never changes: name, kind, e-mail, and an account id once it is known."""
    if found.state != expected_state:
        raise StreamMoved(
            f"the registry has {found.name} as {found.state!r} by now, not as {expected_state!r}",
            state="nothing was written",
            remedy="run the same command again",
        )
    fixed = {
        "name": found.name != row.name,
        "kind": found.kind != row.kind,
        "e-mail address": found.email != row.email,
        "account": found.account is not None and found.account != row.account,
    }
    for what, changed in fixed.items():
        if changed:
            raise RequestRefused(
                f"the {what} of {found.name} in the registry cannot change",
                state="nothing was written",
                remedy="add a new account under a new name instead",
            )
