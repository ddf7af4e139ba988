"""What the contract suites of Stacks, Alarms and Smoke stand on: one place, templates known by kind, and time.

A bed says in `lacks` what it cannot show; the suites skip exactly those cases, each with that reason, and
docs/limits.md lists them.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence

import pytest

from pipeline.model.ids import Digest
from pipeline.model.stack import IN_PROGRESS, ChangeSetView, StackSnapshot, StackStatus
from pipeline.ports import Alarms, ChangeSetRequest, Place, Smoke, Stacks

__all__ = ["KINDS", "TABLE", "Bed"]

KINDS = ("one", "two", "three", "sick", "stuck-one", "stuck", "table", "import")
"""one, two, three: a queue (Queue), a function (Form), a mark (Mark) and alarms; each kind differs in the first three.

sick: like two, and one resource cannot be made. stuck-one: like one, with `Switch`. stuck: like sick, with `Switch`,
which cannot be put back either unless it is mended. table: like two, with a retained table that has a literal name.
import: like one, with a retained queue `Old` and nothing else changed.
"""

TABLE = "contract-forms"
"""The table's literal name; one place holds it once."""

_numbers = itertools.count(1)


class Bed(ABC):
    """One place of one implementation. lacks: what it cannot show, with the reason."""

    stacks: Stacks
    alarms: Alarms
    smoke: Smoke
    place: Place
    lacks: dict[str, str]
    _watched = ""

    @abstractmethod
    def template(self, kind: str) -> Digest: ...

    @abstractmethod
    def wait(self) -> None:
        """A short while passes."""

    @abstractmethod
    def mend(self) -> None:
        """From now on `Switch` can be put back."""

    @abstractmethod
    def break_again(self) -> None:
        """Undoes `mend`."""

    @abstractmethod
    def orphan(self, stack: str) -> str:
        """A queue of this stack's place that belongs to no stack, ready to be imported: its identifier."""

    @abstractmethod
    def set_alarm(self, stack: str, name: str, state: str) -> None:
        """name: `errors` or `slow`, metric alarms, or `all`, a composite one; stacks of every kind have them."""

    @abstractmethod
    def smoking(self, how: str) -> tuple[str, str]:
        """A stack and the logical id of a function in it that answers well, ill, odd, or raises."""

    # --- the same everywhere -------------------------------------------------------------------

    def needs(self, ability: str) -> None:
        if ability in self.lacks:
            pytest.skip(self.lacks[ability])

    def fresh(self) -> str:
        return f"svc-contract{next(_numbers)}"

    def token(self) -> str:
        return f"{next(_numbers):032x}"

    def request(self, stack: str, kind: str, *, creating: bool = False, token: str = "") -> ChangeSetRequest:
        token = token or self.token()
        return ChangeSetRequest(
            stack=stack,
            name=f"tg-{token}",
            token=token,
            creating=creating,
            template=self.template(kind),
            parameters=(("Client", "acme"),),
            tags=(("tidegate:client", "acme"),),
        )

    def make(self, request: ChangeSetRequest) -> str:
        """The stack id, once the change set is made."""
        _, stack_id = self.stacks.create_change_set(self.place, request)
        self.made(stack_id, request.name)
        return stack_id

    def made(self, stack: str, change_set: str) -> ChangeSetView:
        for _ in range(600):
            view = self.stacks.describe_change_set(self.place, stack, change_set)
            if view.is_settled:
                return view
            self.wait()
        raise AssertionError(f"{change_set} is never made")

    def settled(self, stack: str) -> StackSnapshot:
        for _ in range(600):
            found = self.stacks.describe(self.place, stack)
            assert found is not None
            if found.status not in IN_PROGRESS:
                return found
            self.wait()
        raise AssertionError(f"{stack} never settles")

    def deploy(self, stack: str, kind: str, *, creating: bool = False) -> tuple[str, str, StackStatus]:
        """(stack id, token, status in the end)."""
        request = self.request(stack, kind, creating=creating)
        stack_id = self.make(request)
        self.stacks.execute_change_set(self.place, stack_id, request.name, request.token)
        return stack_id, request.token, self.settled(stack_id).status

    def standing(self, *kinds: str) -> tuple[str, str]:
        """(name, id) of a new stack on which these kinds were deployed, one after the other."""
        name = self.fresh()
        stack_id, _, _ = self.deploy(name, kinds[0], creating=True)
        for kind in kinds[1:]:
            self.deploy(name, kind)
        return name, stack_id

    def alarm_names(self) -> tuple[str, ...]:
        return tuple(name for name in ("all", "errors", "slow") if f"alarm {name}" not in self.lacks)

    def watched(self) -> str:
        """One stack with alarms, for all tests of them."""
        if not self._watched:
            self._watched, _ = self.standing("one")
        return self._watched

    def continued(self, stack: str, skip: Sequence[str] = ()) -> tuple[str, StackStatus]:
        """(token, status in the end) of ContinueUpdateRollback."""
        token = self.token()
        self.stacks.continue_update_rollback(self.place, stack, token, skip)
        return token, self.settled(stack).status
