"""Room: adapters/simulated. The rules of AWS Organizations; the simulated cloud and the local AWS front share them.

Plain Python over a clock and a source of account ids that the caller passes in; never boto3, never a socket.
Facts: botocore service model `organizations` 2016-11-28 and the AWS Organizations user guide, unless another
source is named. Everything that AWS does asynchronously happens here when somebody looks, by the clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.adapters.simulated.organization_faults import (
    AccessDenied,
    AccountAlreadyClosed,
    AccountNotFound,
    ConstraintViolation,
    CreateAccountStatusNotFound,
    InvalidInput,
    OrganizationLimits,
    OrganizationsFault,
    OrganizationsNotInUse,
    TooManyRequests,
)
from pipeline.adapters.simulated.organization_tree import Node, Tree, Unit, opaque

__all__ = ["DEFAULT_ROLE_NAME", "Account", "Creation", "NewAccount", "Organization"]

DEFAULT_ROLE_NAME = "OrganizationAccountAccessRole"
_DAY = 86_400.0
# The shape of the request member; what breaks it is refused at once, what only breaks AWS's further rules for
# e-mail addresses fails later, as INVALID_EMAIL (CreateAccount, member Email).
_EMAIL_SHAPE = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_EMAIL_FORBIDDEN = frozenset("\"'()<>[]:;,\\|%&")
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account. `state` is ACTIVE, PENDING_CLOSURE or SUSPENDED; `closed_at` is None while it is active.

    AWS retired the member Status on 2026-09-09 in favour of State; both have the same value in these states.
    """

    account_id: str
    name: str
    email: str
    joined_method: str
    joined_at: float
    state: str = "ACTIVE"
    closed_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """One CreateAccount request. `state` is IN_PROGRESS, SUCCEEDED or FAILED, as far as the asker may know."""

    creation_id: str
    name: str
    email: str
    role_name: str
    requested_at: float
    ready_at: float
    account_id: str
    failure: str
    tags: tuple[tuple[str, str], ...] = ()
    state: str = "IN_PROGRESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account that has just come to be, and the role that must now exist in it."""

    account_id: str
    role_name: str


class Organization:
    """One organization with all features enabled.

    `now` gives seconds since the epoch and never goes back. `draw` proposes 12-digit account ids; one that is
    taken is drawn again. `caller` is always the 12-digit id of the calling account.
    """

    def __init__(
        self,
        *,
        management_id: str,
        management_email: str,
        now: Callable[[], float],
        draw: Callable[[], str],
        limits: OrganizationLimits | None = None,
    ) -> None:
        self.limits = limits or OrganizationLimits()
        self.management_id = management_id
        self.organization_id = "o-" + opaque(f"{management_id}:organization", 10)
        root_id = "r-" + opaque(f"{management_id}:root", 4)
        self.tree = Tree(organization_id=self.organization_id, root_id=root_id, limits=self.limits)
        self._now, self._draw = now, draw
        self._accounts: dict[str, Account] = {}
        self._creations: dict[str, Creation] = {}
        self._burnt: set[str] = set()
        self._closures: list[float] = []
        self._new: list[NewAccount] = []
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._admit(management_id, "management", management_email, "INVITED")

    # --- accounts: creation --------------------------------------------------------------------------

    def create_account(
        self,
        caller: str,
        *,
        email: str,
        name: str,
        role_name: str = DEFAULT_ROLE_NAME,
        tags: Iterable[tuple[str, str]] = (),
    ) -> Creation:
        """Start to create an account; it exists when DescribeCreateAccountStatus says SUCCEEDED.

        An address is unique for ever, whatever its case (user guide, "Closing an account": the address of a
        closed account cannot be used again). At most `concurrent_creates` at a time (quota page).
        """
        self._enter(caller, "CreateAccount")
        _check_request(email, name, role_name)
        if sum(c.state == "IN_PROGRESS" for c in self._creations.values()) >= self.limits.concurrent_creates:
            raise TooManyRequests("Too many account creation requests are in progress.")
        failure = self._creation_failure(email)
        number = len(self._creations) + 1
        started = self._now()
        creation = Creation(
            creation_id="car-" + opaque(f"{self.organization_id}:creation:{number}", 32),
            name=name,
            email=email,
            role_name=role_name,
            requested_at=started,
            ready_at=started + self.limits.creation_seconds,
            account_id="" if failure else self._fresh_id(),
            failure=failure,
            tags=tuple(tags),
        )
        if not failure:
            self._burnt.add(email.lower())
        self._creations[creation.creation_id] = creation
        return creation

    def describe_creation(self, caller: str, creation_id: str) -> Creation:
        """How a creation is doing (DescribeCreateAccountStatus)."""
        self._enter(caller, "DescribeCreateAccountStatus")
        found = self._creations.get(creation_id)
        if found is None:
            raise CreateAccountStatusNotFound(
                "We can't find a create account request with the CreateAccountRequestId that you specified."
            )
        return found

    def creations(self, caller: str, states: Iterable[str] = ()) -> tuple[Creation, ...]:
        """Every creation, or those in the given states (ListCreateAccountStatus)."""
        self._enter(caller, "ListCreateAccountStatus")
        wanted = set(states)
        return tuple(c for c in self._creations.values() if not wanted or c.state in wanted)

    def take_new_accounts(self) -> tuple[NewAccount, ...]:
        """The accounts that came to be since the last call; each is given out once."""
        self.settle()
        taken, self._new = tuple(self._new), []
        return taken

    def access_roles(self) -> tuple[NewAccount, ...]:
        """The access role that AWS put into each living account that was created here. No caller."""
        self.settle()
        return tuple(
            NewAccount(account_id=creation.account_id, role_name=creation.role_name)
            for creation in self._creations.values()
            if creation.state == "SUCCEEDED" and creation.account_id in self._accounts
        )

    # --- accounts: the rest of their life --------------------------------------------------------------

    def accounts(self, caller: str) -> tuple[Account, ...]:
        """Every account that is not gone yet, closed ones included (ListAccounts)."""
        self._enter(caller, "ListAccounts")
        return tuple(self._accounts.values())

    def account(self, caller: str, account_id: str) -> Account:
        """One account (DescribeAccount)."""
        self._enter(caller, "DescribeAccount")
        return self._need(account_id)

    def close_account(self, caller: str, account_id: str) -> None:
        """Close an account: PENDING_CLOSURE at once, SUSPENDED later, gone after 90 days (CloseAccount)."""
        self._enter(caller, "CloseAccount")
        account = self._need(account_id)
        if account_id == self.management_id:
            raise _violation("CANNOT_CLOSE_MANAGEMENT_ACCOUNT", "You cannot close the management account.")
        if account.state != "ACTIVE":
            raise AccountAlreadyClosed("You attempted to close an account that is already closed.")
        pending = sum(other.state == "PENDING_CLOSURE" for other in self._accounts.values())
        if pending >= self.limits.concurrent_closes:
            raise _violation(
                "CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED", "Too many accounts are being closed now."
            )
        if len(self._recent_closures()) >= self._close_quota():
            raise _violation("CLOSE_ACCOUNT_QUOTA_EXCEEDED", "The close quota of 30 days is used up.")
        moment = self._now()
        self._closures = [*self._recent_closures(), moment]
        self._accounts[account_id] = replace(account, state="PENDING_CLOSURE", closed_at=moment)

    def move_account(self, caller: str, account_id: str, *, source: str, destination: str) -> None:
        """Move an account between parents; a stale `source` is refused, so it works as compare-and-swap."""
        self._enter(caller, "MoveAccount")
        self._need(account_id)
        self.tree.move(account_id, source, destination)

    def state_of(self, account_id: str) -> str | None:
        """ACTIVE, PENDING_CLOSURE, SUSPENDED, or None when the account is not (or no longer) here. No caller."""
        self.settle()
        found = self._accounts.get(account_id)
        return found.state if found else None

    # --- the tree --------------------------------------------------------------------------------------

    def describe(self, caller: str) -> Account:
        """The management account; the one question that members may ask too (DescribeOrganization)."""
        self._enter(caller, "DescribeOrganization", members=True)
        return self._accounts[self.management_id]

    def browse(self, caller: str, operation: str) -> Tree:
        """The tree, after the check of the caller, for the operations that only read it."""
        self._enter(caller, operation)
        return self.tree

    def children(self, caller: str, parent_id: str, kind: str) -> tuple[Node, ...]:
        """Accounts or units directly in a parent (ListChildren)."""
        self._enter(caller, "ListChildren")
        match kind:
            case "ACCOUNT":
                return tuple(Node(node_id=found, kind=kind) for found in self.tree.accounts_in(parent_id))
            case "ORGANIZATIONAL_UNIT":
                return tuple(Node(node_id=unit.unit_id, kind=kind) for unit in self.tree.units_in(parent_id))
            case _:
                raise InvalidInput("ChildType must be ACCOUNT or ORGANIZATIONAL_UNIT.", reason="INVALID_ENUM")

    def accounts_for_parent(self, caller: str, parent_id: str) -> tuple[Account, ...]:
        """Accounts directly in a parent (ListAccountsForParent)."""
        self._enter(caller, "ListAccountsForParent")
        return tuple(self._accounts[found] for found in self.tree.accounts_in(parent_id))

    def create_unit(
        self, caller: str, *, parent_id: str, name: str, tags: Iterable[tuple[str, str]] = ()
    ) -> Unit:
        """Create an organizational unit (CreateOrganizationalUnit)."""
        self._enter(caller, "CreateOrganizationalUnit")
        unit = self.tree.create_unit(parent_id, name)
        self.tree.tag(unit.unit_id, tags)
        return unit

    # --- state ---------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The whole state as JSON values; clock, id source and limits stay outside."""
        return {
            "management_id": self.management_id,
            "accounts": [asdict(account) for account in self._accounts.values()],
            "creations": [
                {**asdict(creation), "tags": [list(tag) for tag in creation.tags]}
                for creation in self._creations.values()
            ],
            "burnt": sorted(self._burnt),
            "closures": list(self._closures),
            "new": [asdict(account) for account in self._new],
            "tree": self.tree.to_json(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `to_json` gave; ValueError when it belongs to another management account."""
        if state["management_id"] != self.management_id:
            raise ValueError("this state belongs to another management account")
        self._accounts = {row["account_id"]: Account(**row) for row in state["accounts"]}
        self._creations = {
            row["creation_id"]: Creation(**{**row, "tags": tuple((k, v) for k, v in row["tags"])})
            for row in state["creations"]
        }
        self._burnt = set(state["burnt"])
        self._closures = list(state["closures"])
        self._new = [NewAccount(**row) for row in state["new"]]
        self.tree.restore(**state["tree"])

    def settle(self) -> None:
        """Let happen what is due by the clock: creations end, closures take hold, closed accounts go."""
        moment = self._now()
        for creation in tuple(self._creations.values()):
            if creation.state == "IN_PROGRESS" and creation.ready_at <= moment:
                self._finish(creation)
        for account in tuple(self._accounts.values()):
            if account.closed_at is None:
                continue
            age = moment - account.closed_at
            if age >= self.limits.closing_seconds + self.limits.post_closure_days * _DAY:
                del self._accounts[account.account_id]
                self.tree.forget(account.account_id)
            elif age >= self.limits.closing_seconds:
                self._accounts[account.account_id] = replace(account, state="SUSPENDED")

    # --- inside --------------------------------------------------------------------------------------

    def _enter(self, caller: str, operation: str, *, members: bool = False) -> None:
        self.settle()
        if caller not in self._accounts:
            raise OrganizationsNotInUse("Your account is not a member of an organization.")
        if caller != self.management_id and not members:
            raise AccessDenied("You don't have permissions to access this resource.")
        self._throttle(caller, operation)

    def _throttle(self, caller: str, operation: str) -> None:
        if operation not in self.limits.rates:
            return
        rate, burst = self.limits.rates[operation]
        moment = self._now()
        level, since = self._buckets.get((caller, operation), (float(burst), moment))
        level = min(float(burst), level + (moment - since) * rate)
        if level < 1:
            self._buckets[(caller, operation)] = (level, moment)
            raise TooManyRequests("You have sent too many requests in too short a period of time.")
        self._buckets[(caller, operation)] = (level - 1, moment)

    def _creation_failure(self, email: str) -> str:
        """The FailureReason this creation will end with, or empty."""
        coming = sum(c.state == "IN_PROGRESS" and not c.failure for c in self._creations.values())
        if not email.isascii() or _EMAIL_FORBIDDEN & set(email.partition("@")[0]):
            return "INVALID_EMAIL"
        if email.lower() in self._burnt:
            return "EMAIL_ALREADY_EXISTS"
        if len(self._accounts) + coming >= self.limits.max_accounts:
            return "ACCOUNT_LIMIT_EXCEEDED"
        return ""

    def _finish(self, creation: Creation) -> None:
        state = "FAILED" if creation.failure else "SUCCEEDED"
        self._creations[creation.creation_id] = replace(creation, state=state)
        if creation.failure:
            return
        self._admit(creation.account_id, creation.name, creation.email, "CREATED")
        self.tree.tag(creation.account_id, creation.tags)
        self._new.append(NewAccount(account_id=creation.account_id, role_name=creation.role_name))

    def _admit(self, account_id: str, name: str, email: str, method: str) -> None:
        self._accounts[account_id] = Account(
            account_id=account_id, name=name, email=email, joined_method=method, joined_at=self._now()
        )
        self._burnt.add(email.lower())
        self.tree.place(account_id)

    def _fresh_id(self) -> str:
        taken = {c.account_id for c in self._creations.values()} | {self.management_id}
        while (proposed := self._draw()) in taken:
            pass
        return proposed

    def _need(self, account_id: str) -> Account:
        found = self._accounts.get(account_id)
        if found is None:
            raise AccountNotFound(
                "We can't find an AWS account with the AccountId that you specified, or the account is not a "
                "member of an organization."
            )
        return found

    def _recent_closures(self) -> list[float]:
        horizon = self._now() - self.limits.close_window_days * _DAY
        return [moment for moment in self._closures if moment > horizon]

    def _close_quota(self) -> int:
        """Per rolling 30 days: 20 % of the members or 250, whichever is higher, at most 1,000 (quota page)."""
        members = len(self._accounts) - 1
        return min(
            self.limits.close_ceiling, max(self.limits.close_floor, int(members * self.limits.close_share))
        )


def _violation(reason: str, message: str) -> OrganizationsFault:
    return ConstraintViolation(message, reason=reason)


def _check_request(email: str, name: str, role_name: str) -> None:
    """The constraints of the request's members; breaking one is a synchronous error."""
    if not 6 <= len(email) <= 64 or not _EMAIL_SHAPE.fullmatch(email):
        raise InvalidInput("The email address is not valid.", reason="INVALID_PATTERN")
    if not 1 <= len(name) <= 50:
        raise InvalidInput(
            "The account name must have between 1 and 50 characters.", reason="INVALID_PATTERN"
        )
    if not _ROLE_NAME.fullmatch(role_name):
        raise InvalidInput("The role name is not valid.", reason="INVALID_PATTERN")
