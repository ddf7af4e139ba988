"""Floor 3, adapters: the Stacks port over CloudFormation. It must never call DeleteStack, nor wait.

Facts: API reference of each operation named; texts of ValidationError, which carries no finer code, as AWS sends
them (matched whole, from the patterns below, never by substring).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.adapters.aws.change_sets import ChangeSetReader
from pipeline.adapters.aws.faults import AwsRefused
from pipeline.adapters.aws.operations import operation_of, stack_status, template_digest
from pipeline.adapters.aws.reach import IdentityOf, Reach, partition_of, url_suffix_of
from pipeline.adapters.aws.resources import NESTED_STACK, StackResources, stack_name_of
from pipeline.adapters.aws.session import Aws
from pipeline.errors import ChangeSetGone, NotFound, ReleaseError, StackBusy
from pipeline.model.ids import Digest, digest
from pipeline.model.release import artifact_key
from pipeline.model.stack import ChangeSetView, StackSnapshot
from pipeline.ports import ChangeSetRequest, Place, ResourceToImport

__all__ = ["CAPABILITIES", "CloudFormationStacks"]

CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")

_CFN = "cloudformation"
_NO_STACK = re.compile(r"Stack (?:with id )?\[?[^\s\[\]]+\]? does not exist\.?")
_BUSY = re.compile(r"(?:Stack[ :]\S+ )?is in [A-Z_]+ state and can ?not be updated\.?")
_EXISTS = re.compile(
    r"Stack \[\S+\] already exists and cannot be created again with the changeSet \[\S+\]\.?"
)
# RollbackUpdatedStack is what CloudFormation itself calls ContinueUpdateRollback in its refusal.
_NOT_NOW = re.compile(
    r"(?:RollbackUpdatedStack|ContinueUpdateRollback) cannot be called from current stack status\.?"
)
_CANCELLED = "Resource update cancelled"
_DEPTH = 8


class CloudFormationStacks:
    """bucket_prefix: artifact buckets are PREFIX-REGION. execution_role: CloudFormation's own role by name.

    resources: shared with CloudWatchAlarms, so that one ListStackResources serves both.
    """

    def __init__(
        self,
        aws: Aws,
        identity_of: IdentityOf,
        execution_role: str = "TidegateExecution",
        bucket_prefix: str = "",
        resources: StackResources | None = None,
    ) -> None:
        self._reach = Reach(aws, identity_of)
        self._resources = resources or StackResources(self._reach)
        self._execution_role = execution_role
        self._bucket_prefix = bucket_prefix

    def describe(self, place: Place, stack: str) -> StackSnapshot | None:
        try:
            answer = self._reach.call(place, _CFN, "describe_stacks", StackName=self._asked(place, stack))
        except AwsRefused as refusal:
            if _says(_NO_STACK, refusal):
                return None
            raise
        found = [s for s in answer.get("Stacks", ()) if stack in (s["StackName"], s["StackId"])]
        return self._snapshot(place, found[0]) if found else None

    def create_change_set(self, place: Place, request: ChangeSetRequest) -> tuple[str, str]:
        try:
            answer = self._reach.call(place, _CFN, "create_change_set", **self._creation(place, request))
        except AwsRefused as refusal:
            if _says(_BUSY, refusal) or _says(_EXISTS, refusal) or _says(_NO_STACK, refusal):
                raise _busy(refusal) from None
            raise
        return self._reach.landed(place, str(answer["Id"])), self._reach.landed(place, str(answer["StackId"]))

    def describe_change_set(self, place: Place, stack: str, change_set: str) -> ChangeSetView:
        names = {"StackName": self._asked(place, stack), "ChangeSetName": self._asked(place, change_set)}
        try:
            return ChangeSetReader(self._reach, place).read(names)
        except AwsRefused as refusal:
            raise (_gone(refusal) if _says(_NO_STACK, refusal) else refusal) from None

    def list_change_sets(self, place: Place, stack: str) -> tuple[str, ...]:
        names: list[str] = []
        try:
            for page in self._reach.pages(
                place, _CFN, "list_change_sets", StackName=self._asked(place, stack)
            ):
                for row in page.get("Summaries", ()):
                    self._reach.landed(place, str(row["StackId"]))
                    names.append(str(row["ChangeSetName"]))
        except AwsRefused as refusal:
            if _says(_NO_STACK, refusal):
                return ()
            raise
        return tuple(names)

    def delete_change_set(self, place: Place, stack: str, change_set: str) -> None:
        names = {"StackName": self._asked(place, stack), "ChangeSetName": self._asked(place, change_set)}
        try:
            self._reach.call(place, _CFN, "delete_change_set", **names)
        except ChangeSetGone:
            return
        except AwsRefused as refusal:
            if not _says(_NO_STACK, refusal):
                raise

    def execute_change_set(self, place: Place, stack: str, change_set: str, token: str) -> None:
        names = {"StackName": self._asked(place, stack), "ChangeSetName": self._asked(place, change_set)}
        self._resources.drop(place, stack)
        try:
            self._reach.call(
                place,
                _CFN,
                "execute_change_set",
                **names,
                ClientRequestToken=token,
                RetainExceptOnCreate=True,
            )
        except AwsRefused as refusal:
            if _says(_NO_STACK, refusal):
                raise _gone(refusal) from None
            raise (_busy(refusal) if _says(_BUSY, refusal) else refusal) from None

    def operation(self, place: Place, stack: str, token: str) -> StackSnapshot | None:
        pages = self._reach.pages(place, _CFN, "describe_stack_events", StackName=self._asked(place, stack))
        try:
            found = operation_of(pages, token)
        except AwsRefused as refusal:
            if _says(_NO_STACK, refusal):
                return None
            raise
        if found is not None:
            self._reach.landed(place, found.stack_id)
        return found

    def template(self, place: Place, stack: str) -> Digest:
        answer = self._reach.call(
            place, _CFN, "get_template", StackName=self._asked(place, stack), TemplateStage="Original"
        )
        return template_digest(answer["TemplateBody"])

    def function_digests(self, place: Place, stack: str, logical_ids: Sequence[str]) -> Mapping[str, Digest]:
        wanted = frozenset(logical_ids)
        found: dict[str, Digest] = {}
        for row in self._resources.read(place, self._asked(place, stack)):
            if row.logical_id in wanted and row.type == "AWS::Lambda::Function" and row.physical_id:
                code = self._code(place, row.physical_id)
                if code is not None:
                    found[row.logical_id] = code
        return found

    def continue_update_rollback(self, place: Place, stack: str, token: str, skip: Sequence[str]) -> None:
        """Without RoleARN: the stack keeps the execution role it was last updated with (API reference)."""
        params: dict[str, Any] = {"StackName": self._asked(place, stack), "ClientRequestToken": token}
        if skip:
            params["ResourcesToSkip"] = list(skip)
        self._resources.drop(place, stack)
        try:
            self._reach.call(place, _CFN, "continue_update_rollback", **params)
        except AwsRefused as refusal:
            if any(_says(text, refusal) for text in (_NOT_NOW, _BUSY, _NO_STACK)):
                raise _busy(refusal) from None
            raise

    def failed_resources(self, place: Place, stack: str) -> Mapping[str, str]:
        return dict(sorted(self._failed(place, self._asked(place, stack), "", 0)))

    def physical_ids(self, place: Place, stack: str, logical_ids: Sequence[str]) -> Mapping[str, str]:
        wanted = frozenset(logical_ids)
        rows = self._resources.read(place, self._asked(place, stack)) if wanted else ()
        return {
            row.logical_id: row.physical_id for row in rows if row.logical_id in wanted and row.physical_id
        }

    # --- parts ---------------------------------------------------------------------------------

    def _failed(self, place: Place, stack: str, prefix: str, depth: int) -> Iterator[tuple[str, str]]:
        """A failed nested stack stands for itself only where none of its own resources has failed."""
        for row in self._resources.read(place, stack):
            if row.status != "UPDATE_FAILED" or row.reason.startswith(_CANCELLED):
                continue
            inside: list[tuple[str, str]] = []
            if row.type == NESTED_STACK and row.physical_id and depth < _DEPTH:
                nested = self._reach.landed(place, row.physical_id)
                inside = list(self._failed(place, nested, f"{stack_name_of(nested)}.", depth + 1))
            yield from inside or [(f"{prefix}{row.logical_id}", row.reason)]

    def _asked(self, place: Place, name: str) -> str:
        """An id of another place is not even asked for."""
        return self._reach.landed(place, name) if name.startswith("arn:") else name

    def _snapshot(self, place: Place, stack: Mapping[str, Any]) -> StackSnapshot:
        outputs = ((str(o["OutputKey"]), str(o["OutputValue"])) for o in stack.get("Outputs", ()))
        parameters = (
            (str(p["ParameterKey"]), str(p.get("ParameterValue", ""))) for p in stack.get("Parameters", ())
        )
        return StackSnapshot(
            stack_id=self._reach.landed(place, str(stack["StackId"])),
            status=stack_status(str(stack["StackStatus"])),
            reason=str(stack.get("StackStatusReason", "")),
            outputs=tuple(sorted(outputs)),
            parameters=tuple(sorted(parameters)),
        )

    def _creation(self, place: Place, request: ChangeSetRequest) -> dict[str, Any]:
        params: dict[str, Any] = {
            "StackName": self._asked(place, request.stack),
            "ChangeSetName": request.name,
            "ClientToken": request.token,
            "ChangeSetType": _change_set_type(request),
            "TemplateURL": self._template_url(place, request.template),
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in request.parameters],
            "Tags": [{"Key": k, "Value": v} for k, v in request.tags],
            "Capabilities": list(CAPABILITIES),
            # "IncludeNestedStacks is not supported for changeSet type: IMPORT." (go-to-k/cdkd#582)
            "IncludeNestedStacks": not request.import_resources,
            "RoleARN": f"arn:{partition_of(place.region)}:iam::{place.account}:role/{self._execution_role}",
        }
        if request.import_resources:
            params["ResourcesToImport"] = [_to_import(resource) for resource in request.import_resources]
        elif request.creating:
            params["OnStackFailure"] = "DELETE"
        if request.import_existing:
            params["ImportExistingResources"] = True
        if request.description:
            params["Description"] = request.description[:1024]
        return params

    def _template_url(self, place: Place, template: Digest) -> str:
        bucket = f"{self._bucket_prefix}-{place.region}"
        return f"https://s3.{place.region}.{url_suffix_of(place.region)}/{bucket}/{artifact_key(template)}"

    def _code(self, place: Place, function: str) -> Digest | None:
        try:
            answer = self._reach.call(place, "lambda", "get_function_configuration", FunctionName=function)
        except NotFound:
            return None
        self._reach.landed(place, str(answer["FunctionArn"]))
        return digest(base64.b64decode(str(answer["CodeSha256"]), validate=True).hex())


def _change_set_type(request: ChangeSetRequest) -> str:
    if request.import_resources:
        return "IMPORT"
    return "CREATE" if request.creating else "UPDATE"


def _to_import(resource: ResourceToImport) -> dict[str, Any]:
    return {
        "ResourceType": resource.resource_type,
        "LogicalResourceId": resource.logical_id,
        "ResourceIdentifier": dict(resource.identifier),
    }


def _says(pattern: re.Pattern[str], refusal: AwsRefused) -> bool:
    return refusal.aws_code == "ValidationError" and pattern.fullmatch(refusal.aws_message) is not None


def _busy(refusal: AwsRefused) -> ReleaseError:
    return StackBusy(refusal.problem, state=refusal.state, details=refusal.details)


def _gone(refusal: AwsRefused) -> ReleaseError:
    return ChangeSetGone(refusal.problem, state=refusal.state, details=refusal.details)
