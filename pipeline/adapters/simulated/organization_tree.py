"""Room: adapters/simulated. The tree of an organization: root, organizational units, who sits where, tags.

Pure bookkeeping: it reads no clock, draws no random number and knows nothing about who is calling.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.adapters.simulated.organization_faults import (
    ChildNotFound,
    ConstraintViolation,
    DestinationParentNotFound,
    DuplicateAccount,
    DuplicateOrganizationalUnit,
    InvalidInput,
    OrganizationalUnitNotEmpty,
    OrganizationalUnitNotFound,
    OrganizationLimits,
    ParentNotFound,
    SourceParentNotFound,
    TargetNotFound,
)

__all__ = ["Node", "Tree", "Unit", "opaque"]

_UNIT_NAME = re.compile(r"[\s\S]{1,128}")
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def opaque(seed: str, length: int) -> str:
    """`length` characters of [0-9a-z] that only depend on `seed`: ids look like AWS's and repeat in a replay."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(letters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """An organizational unit; `parent_id` is the root's id or another unit's."""

    unit_id: str
    name: str
    parent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An answer of ListParents or ListChildren; `kind` is ROOT, ORGANIZATIONAL_UNIT or ACCOUNT."""

    node_id: str
    kind: str


class Tree:
    """Units by id, the parent of every account, and the tags of everything taggable."""

    def __init__(self, *, organization_id: str, root_id: str, limits: OrganizationLimits) -> None:
        self.organization_id = organization_id
        self.root_id = root_id
        self._limits = limits
        self._units: dict[str, Unit] = {}
        self._places: dict[str, str] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._drawn = 0

    # --- places ------------------------------------------------------------------------------------

    def place(self, account_id: str) -> None:
        """Put a new account under the root, where AWS puts every account that CreateAccount made."""
        self._places[account_id] = self.root_id

    def forget(self, account_id: str) -> None:
        """Remove an account that has left the organization, with its tags."""
        self._places.pop(account_id, None)
        self._tags.pop(account_id, None)

    def parent_of(self, child_id: str) -> Node:
        """The root or unit that holds an account or unit."""
        parent = self._places.get(child_id)
        if parent is None and child_id in self._units:
            parent = self._units[child_id].parent_id
        if parent is None:
            raise ChildNotFound(
                "We can't find an organizational unit or account with the ChildId you specified."
            )
        return Node(node_id=parent, kind="ROOT" if parent == self.root_id else "ORGANIZATIONAL_UNIT")

    def move(self, account_id: str, source: str, destination: str) -> None:
        """Move an account; refused unless it sits in `source` now (API reference, MoveAccount)."""
        if not self._is_parent(destination):
            raise DestinationParentNotFound(
                "We can't find the destination container (a root or OU) with the ParentId that you specified."
            )
        present = self._places[account_id]
        if present == destination:
            raise DuplicateAccount("That account is already present in the specified destination.")
        if present != source:
            raise SourceParentNotFound(
                "We can't find a source root or OU with the ParentId that you specified."
            )
        self._places[account_id] = destination

    def accounts_in(self, parent_id: str) -> tuple[str, ...]:
        """Ids of the accounts directly in a root or unit."""
        self._need_parent(parent_id)
        return tuple(account for account, parent in self._places.items() if parent == parent_id)

    def units_in(self, parent_id: str) -> tuple[Unit, ...]:
        """The units directly in a root or unit."""
        self._need_parent(parent_id)
        return tuple(unit for unit in self._units.values() if unit.parent_id == parent_id)

    def path_of(self, account_id: str) -> str:
        """The account's entity path, `o-…/r-…/ou-…/`: what aws:PrincipalOrgPaths holds (IAM user guide)."""
        steps: list[str] = []
        parent = self._places[account_id]
        while parent != self.root_id:
            steps.append(parent)
            parent = self._units[parent].parent_id
        return "/".join((self.organization_id, self.root_id, *reversed(steps), ""))

    # --- units -------------------------------------------------------------------------------------

    def create_unit(self, parent_id: str, name: str) -> Unit:
        """Create a unit; a name is unique within its parent, depth and number are limited."""
        self._need_parent(parent_id)
        if not _UNIT_NAME.fullmatch(name):
            raise InvalidInput(
                "The name must have between 1 and 128 characters.", reason="MAX_LENGTH_EXCEEDED"
            )
        if any(unit.name == name for unit in self.units_in(parent_id)):
            raise DuplicateOrganizationalUnit("An OU with the same name already exists.")
        if self._depth(parent_id) >= self._limits.max_depth:
            raise ConstraintViolation("The tree is too deep.", reason="OU_DEPTH_LIMIT_EXCEEDED")
        if len(self._units) >= self._limits.max_units:
            raise ConstraintViolation("Too many OUs.", reason="OU_NUMBER_LIMIT_EXCEEDED")
        self._drawn += 1
        suffix = opaque(f"{self.organization_id}:unit:{self._drawn}", 8)
        unit = Unit(unit_id=f"ou-{self.root_id[2:]}-{suffix}", name=name, parent_id=parent_id)
        self._units[unit.unit_id] = unit
        return unit

    def unit(self, unit_id: str) -> Unit:
        """The unit of this id."""
        found = self._units.get(unit_id)
        if found is None:
            raise OrganizationalUnitNotFound(
                "We can't find an OU with the OrganizationalUnitId that you specified."
            )
        return found

    def delete_unit(self, unit_id: str) -> None:
        """Delete an empty unit."""
        self.unit(unit_id)
        if self.accounts_in(unit_id) or self.units_in(unit_id):
            raise OrganizationalUnitNotEmpty("The specified OU is not empty.")
        del self._units[unit_id]
        self._tags.pop(unit_id, None)

    # --- tags --------------------------------------------------------------------------------------

    def tag(self, resource_id: str, tags: Iterable[tuple[str, str]]) -> None:
        """Add or overwrite tags of a root, unit or account."""
        merged = {**self.tags_of(resource_id), **dict(tags)}
        if len(merged) > self._limits.max_tags:
            raise ConstraintViolation("Too many tags.", reason="MAX_TAG_LIMIT_EXCEEDED")
        self._tags[resource_id] = merged

    def untag(self, resource_id: str, keys: Iterable[str]) -> None:
        """Remove tags; a key that is not there is no error."""
        gone = set(keys)
        self._tags[resource_id] = {k: v for k, v in self.tags_of(resource_id).items() if k not in gone}

    def tags_of(self, resource_id: str) -> Mapping[str, str]:
        """The tags of a root, unit or account."""
        if resource_id not in self._places and not self._is_parent(resource_id):
            raise TargetNotFound(
                "We can't find a root, OU, account, or policy with the TargetId you specified."
            )
        return dict(self._tags.get(resource_id, {}))

    # --- state -------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, object]:
        """Everything but the limits, as JSON values."""
        return {
            "units": [[unit.unit_id, unit.name, unit.parent_id] for unit in self._units.values()],
            "places": dict(self._places),
            "tags": {key: dict(tags) for key, tags in self._tags.items()},
            "drawn": self._drawn,
        }

    def restore(
        self,
        *,
        units: Iterable[tuple[str, str, str]],
        places: Mapping[str, str],
        tags: Mapping[str, Mapping[str, str]],
        drawn: int,
    ) -> None:
        """Take over what `to_json` gave."""
        self._units = {row[0]: Unit(unit_id=row[0], name=row[1], parent_id=row[2]) for row in units}
        self._places = dict(places)
        self._tags = {key: dict(value) for key, value in tags.items()}
        self._drawn = drawn

    # --- inside ------------------------------------------------------------------------------------

    def _is_parent(self, node_id: str) -> bool:
        return node_id == self.root_id or node_id in self._units

    def _need_parent(self, parent_id: str) -> None:
        if not self._is_parent(parent_id):
            raise ParentNotFound("We can't find a root or OU with the ParentId that you specified.")

    def _depth(self, parent_id: str) -> int:
        depth = 0
        while parent_id != self.root_id:
            depth, parent_id = depth + 1, self._units[parent_id].parent_id
        return depth
