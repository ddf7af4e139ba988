"""Floor 3, adapters: the Accounts and Units ports over AWS Organizations. It never repeats CreateAccount.

Facts: botocore service model `organizations` 2016-11-28. The service has one endpoint, in us-east-1.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.adapters.aws.faults import AwsRefused
from pipeline.adapters.aws.session import Aws, Identity
from pipeline.errors import NotFound, Throttled
from pipeline.model.ids import AccountId, account_id
from pipeline.ports import CreationStatus, OrganizationAccount, OrganizationUnit

__all__ = ["AwsOrganizations"]

_SERVICE, _REGION = "organizations", "us-east-1"
_LATER = frozenset({"ConcurrentModificationException", "FinalizingOrganizationException"})
"""No effect; the same call succeeds later."""
_MOVED = frozenset({"DuplicateAccountException", "SourceParentNotFoundException"})
"""MoveAccount: somebody else has moved the account since its parent was read."""


class AwsOrganizations:
    """ports.Accounts and ports.Units. identity: of the management account. Safe to use from many threads.

    The tree of units is read once and kept; units are only ever added. access_role: the role AWS puts into each
    new account for the management account.
    """

    def __init__(
        self, aws: Aws, identity: Identity, *, access_role: str = "OrganizationAccountAccessRole"
    ) -> None:
        self._aws = aws
        self._identity = identity
        self._access_role = access_role
        self._lock = threading.RLock()
        self._units: dict[str, OrganizationUnit] = {}
        self._ids: dict[str, str] = {}

    # --- accounts --------------------------------------------------------------------------------

    def create(self, name: str, email: str, tags: Sequence[tuple[str, str]]) -> CreationStatus:
        answer = self._call(
            "create_account",
            AccountName=name,
            Email=email,
            RoleName=self._access_role,
            Tags=[{"Key": key, "Value": value} for key, value in tags],
        )
        return _creation(answer["CreateAccountStatus"])

    def creation(self, request: str) -> CreationStatus:
        answer = self._call("describe_create_account_status", CreateAccountRequestId=request)
        return _creation(answer["CreateAccountStatus"])

    def creations(self) -> tuple[CreationStatus, ...]:
        return tuple(
            _creation(row) for row in self._rows("list_create_account_status", "CreateAccountStatuses")
        )

    def accounts(self) -> tuple[OrganizationAccount, ...]:
        return tuple(
            OrganizationAccount(
                id=account_id(str(row["Id"])),
                name=str(row.get("Name", "")),
                email=str(row.get("Email", "")),
                # Status was retired on 2026-09-09 in favour of State; an older endpoint has only Status.
                state=str(row.get("State") or row.get("Status", "")),
            )
            for row in self._rows("list_accounts", "Accounts")
        )

    def move(self, account: AccountId, unit: str) -> None:
        self._tree()
        wanted = self._id_of(unit)
        for _ in range(3):
            parent = self._parent(account)
            if parent == wanted:
                return
            try:
                self._call(
                    "move_account", AccountId=account, SourceParentId=parent, DestinationParentId=wanted
                )
            except AwsRefused as refusal:
                if refusal.aws_code not in _MOVED:
                    raise
            else:
                return
        raise Throttled(
            f"account {account} is being moved by somebody else",
            state="it was not moved by this call",
            remedy="run the same command again",
        )

    def organization(self) -> str:
        return str(self._call("describe_organization")["Organization"]["Id"])

    # --- units -----------------------------------------------------------------------------------

    def ensure(self, paths: Sequence[str]) -> tuple[str, ...]:
        made: list[str] = []
        with self._lock:
            for path in paths:
                if path not in self._tree():
                    self._make(path)
                    made.append(path)
        return tuple(made)

    def unit(self, path: str) -> OrganizationUnit:
        with self._lock:
            found = self._tree().get(path)
        if found is None:
            raise NotFound(
                f"the organisation has no unit {path or 'root'}",
                state="nothing was touched",
                remedy="make the units with: release bootstrap management",
            )
        return found

    def unit_of(self, account: AccountId) -> str:
        self._tree()
        parent = self._parent(account)
        with self._lock:
            for path, found in self._ids.items():
                if found == parent:
                    return path
            # A unit that somebody made since the tree was read.
            self._units.clear()
            self._tree()
            return next(path for path, found in self._ids.items() if found == parent)

    # --- parts -----------------------------------------------------------------------------------

    def _call(self, operation: str, **params: Any) -> dict[str, Any]:
        try:
            return self._aws.call(self._identity, _SERVICE, _REGION, operation, **params)
        except AwsRefused as refusal:
            if refusal.aws_code in _LATER:
                raise Throttled(
                    refusal.problem, state=refusal.state, remedy="run the same command again in a minute"
                ) from None
            raise

    def _rows(self, operation: str, member: str, **params: Any) -> list[Mapping[str, Any]]:
        pages = self._aws.pages(self._identity, _SERVICE, _REGION, operation, **params)
        return [row for page in pages for row in page.get(member, ())]

    def _parent(self, account: AccountId) -> str:
        return str(self._call("list_parents", ChildId=account)["Parents"][0]["Id"])

    def _id_of(self, path: str) -> str:
        self.unit(path)
        return self._ids[path]

    def _tree(self) -> dict[str, OrganizationUnit]:
        with self._lock:
            if not self._units:
                root = self._rows("list_roots", "Roots")[0]
                organization = self.organization()
                self._keep("", root, f"{organization}/{root['Id']}/")
                self._read_below("")
            return self._units

    def _read_below(self, path: str) -> None:
        for row in self._rows(
            "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=self._ids[path]
        ):
            below = f"{path}/{row['Name']}" if path else str(row["Name"])
            self._keep(below, row, f"{self._units[path].entity_path}{row['Id']}/")
            self._read_below(below)

    def _make(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        above = self.unit(parent)
        answer = self._call("create_organizational_unit", ParentId=self._ids[parent], Name=name)
        row = answer["OrganizationalUnit"]
        self._keep(path, row, f"{above.entity_path}{row['Id']}/")

    def _keep(self, path: str, row: Mapping[str, Any], entity_path: str) -> None:
        self._ids[path] = str(row["Id"])
        self._units[path] = OrganizationUnit(path=path, arn=str(row["Arn"]), entity_path=entity_path)


def _creation(row: Mapping[str, Any]) -> CreationStatus:
    found = row.get("AccountId")
    return CreationStatus(
        request=str(row["Id"]),
        name=str(row.get("AccountName", "")),
        state=str(row["State"]),
        account=account_id(str(found)) if found else None,
        reason=str(row.get("FailureReason", "")),
    )
