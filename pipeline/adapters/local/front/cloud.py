"""Room: adapters/local/front. What the parts of the front share: the organization, its file, and its address.

It asks the shared Organizations rules and never has rules of its own.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator

from pipeline.adapters.local.front.home import Home
from pipeline.adapters.simulated.organization_faults import OrganizationLimits
from pipeline.adapters.simulated.organizations import Organization

__all__ = ["MANAGEMENT_EMAIL", "Cloud", "account_ids"]

MANAGEMENT_EMAIL = "management@example.com"
# A laptop has no reason to wait minutes, and a fleet to try things on needs more than AWS's first ten accounts.
_LIMITS = OrganizationLimits(max_accounts=500, creation_seconds=0.3, closing_seconds=1.0)


def account_ids(seed: str) -> Iterator[str]:
    """12-digit ids that look drawn but repeat for a seed, so that a tutorial shows what its reader will see."""
    for number in itertools.count():
        digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
        yield f"{int.from_bytes(digest[:8], 'big') % 10**12:012d}"


class Cloud:
    """The organization of one home, kept in its file."""

    def __init__(self, *, home: Home, origin: str, now: Callable[[], float] = time.time) -> None:
        self.home = home
        self.origin = origin
        drawn = account_ids("tidegate")
        self.organization = Organization(
            management_id=next(drawn),
            management_email=MANAGEMENT_EMAIL,
            now=now,
            draw=lambda: next(drawn),
            limits=_LIMITS,
        )
        kept = home.read(home.organization)
        if kept is not None:
            self.organization.restore(kept)

    @property
    def management_id(self) -> str:
        """The 12-digit id of the management account."""
        return self.organization.management_id

    def save(self) -> None:
        """Keep the organization; called after every change, since a created account cannot be made undone."""
        self.home.write(self.home.organization, self.organization.to_json())

    def is_active(self, account_id: str) -> bool:
        """Whether this account exists here and is not closed."""
        return self.organization.state_of(account_id) == "ACTIVE"

    def path_of(self, account_id: str) -> str | None:
        """The entity path of an account, or None when it is not in the organization."""
        if self.organization.state_of(account_id) is None:
            return None
        return self.organization.tree.path_of(account_id)
