"""Family L: change sets that would delete or replace what holds data; the guard's table once more, written anew.

A row of the table is put into the mouth of CloudFormation: the release's update says these changes and nothing
else. What may happen is said here by an oracle of a few lines, from the reference and not from the guard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pipeline.adapters.simulated.stack import ScriptedRelease
from pipeline.decide.guard import findings
from pipeline.errors import BlockedByPolicy
from pipeline.model.ending import EndingKind as Kind
from pipeline.model.ids import AccountId
from pipeline.model.plan import Plan
from pipeline.model.stack import ResourceChange
from pipeline.ports import Place
from tests.faults.cases import Case, Family, seeds, set_stage, sharing
from tests.faults.sight import fail
from tests.faults.stage import Refused, Stage
from tests.faults.stories import STORIES, Story, first_is_there
from tests.simulation import a_fleet

if TYPE_CHECKING:
    from pipeline.adapters.aws.reach import Reach

__all__ = ["DESTRUCTIVE"]

TYPES = (
    "AWS::Backup::BackupVault",
    "AWS::Cognito::UserPool",
    "AWS::DocDB::DBCluster",
    "AWS::DocDB::DBInstance",
    "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table",
    "AWS::EC2::Volume",
    "AWS::EFS::FileSystem",
    "AWS::EMR::Cluster",
    "AWS::ElastiCache::CacheCluster",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::Elasticsearch::Domain",
    "AWS::FSx::FileSystem",
    "AWS::KMS::Key",
    "AWS::Kinesis::Stream",
    "AWS::Logs::LogGroup",
    "AWS::Neptune::DBCluster",
    "AWS::Neptune::DBInstance",
    "AWS::OpenSearchService::Domain",
    "AWS::Organizations::Account",
    "AWS::QLDB::Ledger",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::Redshift::Cluster",
    "AWS::S3::Bucket",
    "AWS::SDB::Domain",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
    "AWS::CloudFormation::Stack",
)
"""cfn-lint's stateful types, typed off once more."""
HARMLESS = "AWS::Lambda::Function"


@dataclass(frozen=True, slots=True)
class Row:
    """harms: what it means where the resource holds data; where it does not, only what nobody knows blocks."""

    action: str
    replacement: str
    policy: str
    harms: bool
    unknown: bool = False


ROWS = (
    Row("Add", "", "", harms=False),
    Row("Modify", "False", "", harms=False),
    Row("Modify", "True", "ReplaceAndDelete", harms=True),
    Row("Modify", "True", "ReplaceAndRetain", harms=True),
    Row("Modify", "True", "ReplaceAndSnapshot", harms=True),
    Row("Modify", "Conditional", "", harms=True),
    Row("Remove", "", "Delete", harms=True),
    Row("Remove", "", "Retain", harms=True),
    Row("Remove", "", "Snapshot", harms=True),
    Row("Remove", "", "", harms=True),
    Row("Dynamic", "", "", harms=True, unknown=True),
    Row("Transmogrify", "", "", harms=True, unknown=True),
)
PAGE = 101
"""`DescribeChangeSet` gives a hundred changes at once: one more is the second page."""


def _cases_l(_large: bool) -> list[Case]:
    """place 0: the plan meets it. 1: behind a hundred others. 2: only after the plan was made. 3: on the second page,
    read by the adapter itself."""
    places = (0, 1, 2, 3)
    kinds = (*range(len(TYPES)), len(TYPES))
    return [
        Case(seeds("L") + 100 * kind + row, place)
        for kind in kinds
        for row in range(len(ROWS))
        for place in places
    ]


SMALLEST = Story(
    name="one client",
    prepare=first_is_there,
    tell=STORIES[0].tell,
    fleet=a_fleet(1),
    policy=STORIES[0].policy,
)


def _prepare_l(_case: Case, tmp: Path) -> Stage:
    """A person has opened the stack policies, which would refuse the same: here the guard stands alone."""
    stage = set_stage(SMALLEST, tmp)
    for target in stage.plans[-1].targets:
        stack = stage.cloud.formation(Place(target.account, target.id.region)).find(target.stack)
        assert stack is not None, "the first release is there"
        stack.policy = ""
    return stage


def _act_l(stage: Stage, case: Case) -> None:
    row = ROWS[case.number % 100]
    number = case.number // 100
    kind = TYPES[number] if number < len(TYPES) else HARMLESS
    if case.place == 3:
        _read_by_the_adapter(row, kind)
        return
    changes = _changes(row, kind, many=case.place == 1)
    harmless = _changes(ROWS[1], HARMLESS, many=False)
    _says(stage, harmless if case.place == 2 else changes)
    plan = _planned(stage)
    if case.place == 2:
        _says(stage, changes)
    came_through = plan is not None and stage.promote(plan).kind is Kind.SUCCEEDED
    allowed = _is_allowed(row, kind)
    ran = [h for h in stage.cloud.history if h.after == "intake@1.1.0" and h.place.account == "000000000001"]
    if ran and not allowed:
        fail("I13", f"{row} of {kind} was executed")
    if came_through and not allowed:
        fail("I13", f"{row} of {kind} came through")
    if allowed and case.place != 2 and not came_through:
        raise AssertionError(f"{row} of {kind} does no harm and was stopped")


def _is_allowed(row: Row, kind: str) -> bool:
    """A nested stack whose own changes nobody has read blocks, whatever it says of itself."""
    unread = kind == "AWS::CloudFormation::Stack" and row.action == "Modify"
    return not unread and not row.unknown and not (row.harms and kind != HARMLESS)


def _read_by_the_adapter(row: Row, kind: str) -> None:
    """Through the code that reads AWS's own answers, page by page, and then to the guard."""
    from pipeline.adapters.aws.change_sets import ChangeSetReader

    place = Place(AccountId("000000000001"), "us-east-1")
    pages = _Pages([_as_aws_says(change) for change in _changes(row, kind, many=True)])
    view = ChangeSetReader(cast("Reach", pages), place).read(
        {"ChangeSetName": "tg-1", "StackName": "svc-intake"}
    )
    if _is_allowed(row, kind) != (not findings(view.changes)):
        fail("I13", f"{row} of {kind} on the second page: {findings(view.changes) or 'nothing found'}")


class _Pages:
    """As much of the adapter's own way to AWS as reading a change set takes."""

    def __init__(self, rows: list[dict[str, object]]) -> None:
        self._rows = rows

    def pages(
        self, _place: Place, _service: str, _operation: str, **_asked: object
    ) -> Iterator[dict[str, object]]:
        for start in range(0, len(self._rows), PAGE - 1):
            yield {
                "ChangeSetName": "tg-1",
                "ChangeSetId": "arn:aws:cloudformation:us-east-1:000000000001:changeSet/tg-1/1",
                "StackId": "arn:aws:cloudformation:us-east-1:000000000001:stack/svc-intake/1",
                "Status": "CREATE_COMPLETE",
                "ExecutionStatus": "AVAILABLE",
                "Changes": self._rows[start : start + PAGE - 1],
            }

    def landed(self, _place: Place, arn: str) -> str:
        return arn


def _as_aws_says(change: ResourceChange) -> dict[str, object]:
    said: dict[str, object] = {
        "Action": change.action,
        "LogicalResourceId": change.logical_id,
        "PhysicalResourceId": change.physical_id,
        "ResourceType": change.resource_type,
        "Scope": list(change.scope),
    }
    if change.replacement:
        said["Replacement"] = change.replacement
    if change.policy_action:
        said["PolicyAction"] = change.policy_action
    return {"Type": "Resource", "ResourceChange": said}


def _changes(row: Row, kind: str, *, many: bool) -> tuple[ResourceChange, ...]:
    bad = ResourceChange(
        logical_id="Zz",
        resource_type=kind,
        action=row.action,
        replacement=row.replacement,
        policy_action=row.policy,
        scope=("Metadata",) if row.action == "Modify" else (),
        physical_id="zz-1",
    )
    if not many:
        return (bad,)
    good = (
        ResourceChange(
            logical_id=f"Form{n:03}",
            resource_type=HARMLESS,
            action="Modify",
            replacement="False",
            scope=("Metadata",),
            physical_id=f"form-{n}",
        )
        for n in range(PAGE - 1)
    )
    return (*good, bad)


def _says(stage: Stage, changes: tuple[ResourceChange, ...]) -> None:
    template = stage.client_template("1.1.0")
    scripted: ScriptedRelease = stage.cloud.scripted(template)
    stage.cloud.release(replace(scripted, changes=changes))


def _planned(stage: Stage) -> Plan | None:
    try:
        return stage.plan("1.1.0")
    except Refused as refused:
        if not isinstance(refused.error, BlockedByPolicy):
            raise
        return None


_PLAY_L, _BATCH_L = sharing(_prepare_l, _act_l)
DESTRUCTIVE = Family(
    letter="L",
    title="every type that holds data, every way to lose it, on every page, before and after the plan",
    invariants=("I13",),
    cases=_cases_l,
    play=_PLAY_L,
    batch=_BATCH_L,
    scene=lambda _case: "one client",
)
