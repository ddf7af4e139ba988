"""Floor 2, ports: what AWS itself is told never to do to a stack. No code here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipeline.model.stack import ResourceChange
from pipeline.ports.cloud import Place

__all__ = ["Protection"]


class Protection(Protocol):
    """Stack policy and termination protection, set by a role of their own. It only ever tightens: nothing here, and
    nothing that this role may do through IAM as far as that can be said there, takes a protection away."""

    def protect(self, place: Place, stack: str, spare: frozenset[str] = frozenset()) -> None:
        """Stack policy on the stack and on those nested in it, termination protection on the stack itself.

        stack: name or id. spare: logical ids (`Inner/Files` in a nested stack) that the release now standing there
        added, which a rollback has to be able to let go of: they are protected once the next release stands.
        Idempotent: where everything is set already, nothing is written. RequestRefused, NotFound; BlockedByPolicy
        where somebody else's stack policy cannot be added to.
        """
        ...

    def denied(self, place: Place, stack: str, changes: Sequence[ResourceChange]) -> tuple[str, ...]:
        """Logical ids of the changes that the stack policies now in force would refuse, so that an update that
        cannot end well is never begun. Reads only. NotFound; BlockedByPolicy where a policy cannot be read."""
        ...
