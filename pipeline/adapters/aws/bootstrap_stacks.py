"""Floor 3, adapters: Tidegate's own stacks, whose templates travel inside the request. It never waits.

They come before the artifact bucket and the roles: the first ones are deployed as whoever bootstraps.
"""

from __future__ import annotations

import re

from pipeline.adapters.aws.faults import AwsRefused
from pipeline.adapters.aws.reach import IdentityOf, Reach
from pipeline.adapters.aws.session import Aws
from pipeline.adapters.aws.stacks import CloudFormationStacks
from pipeline.errors import StackBusy
from pipeline.model.stack import ChangeSetView, StackSnapshot
from pipeline.ports import OwnStack, Place

__all__ = ["BootstrapStacks"]

_BUSY = re.compile(r"(?:Stack[ :]\S+ )?is in [A-Z_]+ state and can ?not be updated\.?")


class BootstrapStacks:
    """ports.OwnStacks. identity_of: in the management account the ambient identity, elsewhere the access role."""

    def __init__(self, aws: Aws, identity_of: IdentityOf) -> None:
        self._reach = Reach(aws, identity_of)
        self._stacks = CloudFormationStacks(aws, identity_of)

    def describe(self, place: Place, stack: str) -> StackSnapshot | None:
        return self._stacks.describe(place, stack)

    def propose(self, request: OwnStack, name: str, *, creating: bool) -> tuple[str, str]:
        params = {
            "StackName": request.stack,
            "ChangeSetName": name,
            "ClientToken": name,
            "ChangeSetType": "CREATE" if creating else "UPDATE",
            "TemplateBody": request.template,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in request.parameters
            ],
            # The roles have fixed names.
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "Tags": [{"Key": "tidegate:managed-by", "Value": "tidegate"}],
            **({"OnStackFailure": "DELETE"} if creating else {}),
        }
        place = request.place
        try:
            answer = self._reach.call(place, "cloudformation", "create_change_set", **params)
        except AwsRefused as refusal:
            if _BUSY.fullmatch(refusal.aws_message):
                raise StackBusy(
                    refusal.problem, state=refusal.state, remedy="run the same command again in a minute"
                ) from None
            raise
        return self._reach.landed(place, str(answer["Id"])), self._reach.landed(place, str(answer["StackId"]))

    def describe_change_set(self, place: Place, stack: str, change_set: str) -> ChangeSetView:
        return self._stacks.describe_change_set(place, stack, change_set)

    def delete_change_set(self, place: Place, stack: str, change_set: str) -> None:
        self._stacks.delete_change_set(place, stack, change_set)

    def execute_change_set(self, place: Place, stack: str, change_set: str, token: str) -> None:
        self._stacks.execute_change_set(place, stack, change_set, token)

    def operation(self, place: Place, stack: str, token: str) -> StackSnapshot | None:
        return self._stacks.operation(place, stack, token)
