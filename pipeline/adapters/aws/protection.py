"""Floor 3, adapters: the Protection port: SetStackPolicy and UpdateTerminationProtection. It never loosens either.

The policy's text is stored as an artifact and named by its address, because IAM can tell addresses apart
(`cloudformation:StackPolicyUrl`) but not texts. Source: Service Authorization Reference, AWS CloudFormation.
Termination protection is set on the root stack alone and passes on to nested ones (CloudFormation User Guide,
"Protect CloudFormation stacks from being deleted"); a stack policy is each stack's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.adapters.aws.reach import IdentityOf, Reach, url_suffix_of
from pipeline.adapters.aws.resources import NESTED_STACK, StackResource, StackResources
from pipeline.adapters.aws.session import Aws
from pipeline.decide.stack_policy import GUARDED_TYPES, denied, tightened
from pipeline.errors import NotFound, OperationFailed
from pipeline.model.ids import Digest
from pipeline.model.release import artifact_key
from pipeline.model.stack import ResourceChange
from pipeline.ports import Artifacts, Place

__all__ = ["StackProtection"]

_CFN = "cloudformation"
_DEPTH = 8


class StackProtection:
    """identity_of: TidegateProtect in the target's account. artifacts: where a policy's text is stored, in the bucket
    PREFIX-REGION of the stack's own Region, as SetStackPolicy demands."""

    def __init__(self, aws: Aws, identity_of: IdentityOf, artifacts: Artifacts, bucket_prefix: str) -> None:
        self._reach = Reach(aws, identity_of)
        self._resources = StackResources(self._reach)
        self._artifacts = artifacts
        self._bucket_prefix = bucket_prefix

    def protect(self, place: Place, stack: str, spare: frozenset[str] = frozenset()) -> None:
        root, protected = self._root(place, stack)
        for stack_id, prefix, rows in self._stacks(place, root):
            self._tighten(place, stack_id, _guarded(rows, prefix, spare))
        if not protected:
            answer = self._reach.call(
                place,
                _CFN,
                "update_termination_protection",
                StackName=root,
                EnableTerminationProtection=True,
            )
            self._reach.landed(place, str(answer.get("StackId", "")))

    def denied(self, place: Place, stack: str, changes: Sequence[ResourceChange]) -> tuple[str, ...]:
        root, _ = self._root(place, stack)
        found: list[str] = []
        for stack_id, prefix, _ in self._stacks(place, root):
            own = [c for c in changes if c.logical_id.rpartition("/")[0] == prefix.rstrip("/")]
            found += denied(self._policy(place, stack_id), own) if own else ()
        return tuple(found)

    def _root(self, place: Place, stack: str) -> tuple[str, bool]:
        """(stack id, whether termination protection is on)"""
        answer = self._reach.call(place, _CFN, "describe_stacks", StackName=stack)
        for found in answer.get("Stacks", ()):
            if stack in (found["StackName"], found["StackId"]):
                landed = self._reach.landed(place, str(found["StackId"]))
                return landed, found.get("EnableTerminationProtection") is True
        raise NotFound(f"there is no stack {stack} to protect in {place.account}, {place.region}")

    def _stacks(self, place: Place, root: str) -> Iterator[tuple[str, str, tuple[StackResource, ...]]]:
        """(stack id, the logical ids that lead to it, its resources) of the stack and of those nested in it."""
        waiting = [(root, "", 0)]
        while waiting:
            stack_id, prefix, depth = waiting.pop()
            rows = self._resources.read(place, stack_id)
            yield stack_id, prefix, rows
            waiting += [
                (self._reach.landed(place, row.physical_id), f"{prefix}{row.logical_id}/", depth + 1)
                for row in self._nested(rows, depth)
            ]

    def _nested(self, rows: tuple[StackResource, ...], depth: int) -> list[StackResource]:
        found = [row for row in rows if row.type == NESTED_STACK and row.physical_id]
        if found and depth >= _DEPTH:
            raise OperationFailed(
                f"stacks are nested deeper than {_DEPTH}: {found[0].logical_id} is not looked at",
                state="what was protected before it stays so",
            )
        return found

    def _tighten(self, place: Place, stack_id: str, guarded: frozenset[str]) -> None:
        policy = tightened(self._policy(place, stack_id), guarded)
        if policy is None:
            return
        stored, _ = self._artifacts.put(policy, (place.region,))
        self._reach.call(
            place, _CFN, "set_stack_policy", StackName=stack_id, StackPolicyURL=self._url(place, stored)
        )

    def _policy(self, place: Place, stack_id: str) -> str:
        answer = self._reach.call(place, _CFN, "get_stack_policy", StackName=stack_id)
        return str(answer.get("StackPolicyBody") or "")

    def _url(self, place: Place, stored: Digest) -> str:
        bucket = f"{self._bucket_prefix}-{place.region}"
        return f"https://s3.{place.region}.{url_suffix_of(place.region)}/{bucket}/{artifact_key(stored)}"


def _guarded(rows: tuple[StackResource, ...], prefix: str, spare: frozenset[str]) -> frozenset[str]:
    """Logical ids of what must never be removed from this one stack."""
    return frozenset(
        row.logical_id for row in rows if row.type in GUARDED_TYPES and prefix + row.logical_id not in spare
    )
