"""An organisation with its accounts and Tidegate's own stacks, under virtual time, for the stages that make them.

The rules of Organizations are those of the simulated cloud; faults are set before they are met. What happened
stands in `log`, which the code under test cannot change.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.adapters.simulated.organization_faults import OrganizationLimits, OrganizationsFault
from pipeline.adapters.simulated.organizations import Creation, Organization
from pipeline.adapters.simulated.stores import MemoryJournal, MemoryLeases, MemoryRegistry
from pipeline.errors import AccessRefused, AnswerLost, NotFound, RequestRefused, Throttled
from pipeline.model.ids import AccountId, account_id
from pipeline.model.stack import ChangeSetView, ExecutionStatus, StackSnapshot, StackStatus
from pipeline.ports import CreationStatus, OrganizationAccount, OrganizationUnit, OwnStack, Place

MANAGEMENT = AccountId("333333333333")
MAILBOX = "qa@example.com"
NOTHING_TO_DO = "The submitted information didn't contain changes. Submit different information."


@dataclass
class Landscape:
    """Everything outside, in one place."""

    clock: SimulatedClock = field(default_factory=SimulatedClock)
    log: list[str] = field(default_factory=list)
    limits: OrganizationLimits = field(default_factory=lambda: OrganizationLimits(max_accounts=100))

    def __post_init__(self) -> None:
        self.registry = MemoryRegistry()
        self.leases = MemoryLeases(self.clock)
        self.journal = MemoryJournal(self.clock)
        self.organizations = SimulatedAccounts(self.clock, self.limits, self.log)
        self.stacks = SimulatedOwnStacks(self.log)

    def email_of(self, account: AccountId) -> str:
        return next(a.email for a in self.organizations.accounts() if a.id == account)

    def account_named(self, name: str) -> AccountId:
        return next(a.id for a in self.organizations.accounts() if a.name == name)


class SimulatedAccounts:
    """ports.Accounts and ports.Units.

    lose: how the next creations answer: "applied" (it came about, the answer was lost) or "never" (it never
    arrived). throttle: how many creations are turned away first.
    """

    def __init__(self, clock: SimulatedClock, limits: OrganizationLimits, log: list[str]) -> None:
        drawn = itertools.count(100000000001)
        self.rules = Organization(
            management_id=MANAGEMENT,
            management_email="management@example.com",
            now=lambda: clock.now().timestamp(),
            draw=lambda: f"{next(drawn):012d}",
            limits=limits,
        )
        self.lose: list[str] = []
        self.throttle = 0
        self.log = log
        self._lock = threading.RLock()

    def create(self, name: str, email: str, tags: Sequence[tuple[str, str]]) -> CreationStatus:
        with self._lock:
            self.log.append(f"create {name} {email}")
            if self.throttle > 0:
                self.throttle -= 1
                raise Throttled("TooManyRequestsException")
            fault = self.lose.pop(0) if self.lose else ""
            if fault == "never":
                raise AnswerLost("lost on the way")
            try:
                made = self.rules.create_account(MANAGEMENT, email=email, name=name, tags=tags)
            except OrganizationsFault as refused:
                self.log.append(f"turned away {name}")
                raise Throttled(str(refused)) from refused
            if fault == "applied":
                raise AnswerLost("lost on the way back")
            return _status(made)

    def creation(self, request: str) -> CreationStatus:
        with self._lock:
            return _status(self.rules.describe_creation(MANAGEMENT, request))

    def creations(self) -> tuple[CreationStatus, ...]:
        with self._lock:
            return tuple(_status(c) for c in self.rules.creations(MANAGEMENT))

    def accounts(self) -> tuple[OrganizationAccount, ...]:
        with self._lock:
            return tuple(
                OrganizationAccount(id=account_id(a.account_id), name=a.name, email=a.email, state=a.state)
                for a in self.rules.accounts(MANAGEMENT)
            )

    def move(self, account: AccountId, unit: str) -> None:
        with self._lock:
            if self.unit_of(account) != unit:
                source = self.rules.tree.parent_of(account).node_id
                self.rules.move_account(MANAGEMENT, account, source=source, destination=self._ids()[unit])
                self.log.append(f"move {account} {unit}")

    def organization(self) -> str:
        return self.rules.organization_id

    def ensure(self, paths: Sequence[str]) -> tuple[str, ...]:
        with self._lock:
            missing = tuple(path for path in paths if path not in self._ids())
            for path in missing:
                above, _, name = path.rpartition("/")
                self.rules.create_unit(MANAGEMENT, parent_id=self._ids()[above], name=name)
            return missing

    def unit(self, path: str) -> OrganizationUnit:
        with self._lock:
            if path not in self._ids():
                raise NotFound(f"there is no unit {path}")
            below = [path.rsplit("/", n)[0] for n in range(path.count("/"), -1, -1)] if path else []
            ids = [self._ids()[found] for found in below]
            entity = "/".join([self.rules.organization_id, self.rules.tree.root_id, *ids]) + "/"
            return OrganizationUnit(
                path=path, arn=f"arn:aws:organizations::x:{path or 'root'}", entity_path=entity
            )

    def unit_of(self, account: AccountId) -> str:
        with self._lock:
            parent = self.rules.tree.parent_of(account).node_id
            return next(path for path, found in self._ids().items() if found == parent)

    def _ids(self) -> dict[str, str]:
        tree = self.rules.tree
        found = {"": tree.root_id}
        waiting = [""]
        while waiting:
            path = waiting.pop()
            for unit in tree.units_in(found[path]):
                below = f"{path}/{unit.name}" if path else unit.name
                found[below] = unit.unit_id
                waiting.append(below)
        return found


def _status(made: Creation) -> CreationStatus:
    done = made.state == "SUCCEEDED"
    return CreationStatus(
        request=made.creation_id,
        name=made.name,
        state=made.state,
        account=account_id(made.account_id) if done else None,
        reason=made.failure if made.state == "FAILED" else "",
    )


class SimulatedOwnStacks:
    """ports.OwnStacks. young: how often an account refuses before its access role works.

    fail: accounts whose next change fails. unknown_principal: how many creations IAM refuses first.
    outputs: what each stack answers.
    """

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.deployed: dict[tuple[Place, str], OwnStack] = {}
        self.states: dict[tuple[Place, str], StackStatus] = {}
        keys = (
            ("ReleaseKey", "arn:aws:kms:us-east-1:1:key/k"),
            ("JournalKey", "arn:aws:kms:us-east-1:1:key/j"),
        )
        self.outputs = {"tidegate-tools": keys}
        self.young: dict[AccountId, int] = {}
        self.fail: set[AccountId] = set()
        self.unknown_principal = 0
        self._reason = ""
        self._proposed: dict[str, tuple[OwnStack, str]] = {}
        self._lock = threading.RLock()

    def parameters(self, place: Place, stack: str) -> dict[str, str]:
        return dict(self.deployed[(place, stack)].parameters)

    def describe(self, place: Place, stack: str) -> StackSnapshot | None:
        with self._lock:
            if self.young.get(place.account, 0) > 0:
                self.young[place.account] -= 1
                raise AccessRefused("the role is not there yet")
            name = stack.removeprefix("id:")
            status = self.states.get((place, name))
            if status is None:
                return None
            found = self.deployed.get((place, name))
            return StackSnapshot(
                stack_id=f"id:{name}",
                status=status,
                reason=self._reason,
                outputs=self.outputs.get(name, ()),
                parameters=found.parameters if found else (),
            )

    def propose(self, request: OwnStack, name: str, *, creating: bool) -> tuple[str, str]:
        with self._lock:
            key = (request.place, request.stack)
            if creating == (key in self.deployed):
                raise RequestRefused("the wrong kind of change set")
            same = self.deployed.get(key) == replace(request, parameters=request.parameters)
            self._proposed[name] = (request, NOTHING_TO_DO if same else "")
            return name, f"id:{request.stack}"

    def describe_change_set(self, place: Place, stack: str, change_set: str) -> ChangeSetView:
        with self._lock:
            reason = self._proposed[change_set][1]
            return ChangeSetView(
                name=change_set,
                arn=change_set,
                stack_id=stack,
                status="FAILED" if reason else "CREATE_COMPLETE",
                execution=ExecutionStatus.UNAVAILABLE if reason else ExecutionStatus.AVAILABLE,
                reason=reason,
            )

    def delete_change_set(self, place: Place, stack: str, change_set: str) -> None:
        with self._lock:
            del self._proposed[change_set]

    def execute_change_set(self, place: Place, stack: str, change_set: str, token: str) -> None:
        with self._lock:
            request, _ = self._proposed.pop(change_set)
            key = (place, request.stack)
            if place.account in self.fail or self.unknown_principal > 0:
                self._reason = "Invalid principal in policy: role" if self.unknown_principal else "limit"
                self.unknown_principal = max(0, self.unknown_principal - 1)
                self.fail.discard(place.account)
                self.states[key] = (
                    StackStatus.UPDATE_ROLLBACK_COMPLETE
                    if key in self.deployed
                    else StackStatus.DELETE_COMPLETE
                )
                return
            self.states[key] = (
                StackStatus.UPDATE_COMPLETE if key in self.deployed else StackStatus.CREATE_COMPLETE
            )
            self.deployed[key] = request
            self.log.append(f"deploy {request.stack} {place.account} {place.region}")

    def operation(self, place: Place, stack: str, token: str) -> StackSnapshot | None:
        return self.describe(place, stack)
