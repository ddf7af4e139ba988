"""The template by which a stack takes back in what it had let go of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.decide.bridge import IDENTIFIERS, Bridge, Unbridgeable, bridge
from pipeline.decide.stateful import STATEFUL_TYPES
from pipeline.model.event import Orphan

NOTES = Orphan(logical_id="Notes", resource_type="AWS::DynamoDB::Table", physical_id="svc-intake-Notes-1X")
FORM = {"Type": "AWS::Lambda::Function"}
KEY = {"Type": "AWS::KMS::Key", "DeletionPolicy": "Retain"}
RUNNING = {
    "Description": "old",
    "Parameters": {"Colour": {"Type": "String"}},
    "Conditions": {"Big": {"Fn::Equals": [{"Ref": "Colour"}, "red"]}},
    "Resources": {"Form": FORM},
    "Outputs": {"Url": {"Value": "https://…"}},
}


def table(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::DynamoDB::Table", "DeletionPolicy": "Retain", "Properties": properties}


def wanted(**resources: Any) -> dict[str, Any]:
    return {"Description": "new", "Resources": {"Form": {**FORM, "Changed": True}, **resources}}


def test_the_bridge_is_what_runs_and_the_imported_resource_and_nothing_else() -> None:
    made = bridge(RUNNING, wanted(Notes=table(BillingMode="X"), Other=KEY), (NOTES,))

    assert made == Bridge(
        template={**RUNNING, "Resources": {"Form": FORM, "Notes": table(BillingMode="X")}}, taken=(NOTES,)
    )


def test_a_resource_that_the_release_calls_by_another_name_is_for_a_person() -> None:
    made = bridge(RUNNING, wanted(Notes=table(TableName="notes")), (NOTES,))
    assert made == Unbridgeable("Notes: the release calls it notes, and it is svc-intake-Notes-1X")
    assert isinstance(bridge(RUNNING, wanted(Notes=table(TableName=NOTES.physical_id)), (NOTES,)), Bridge)


@pytest.mark.parametrize(
    "properties",
    [
        {"Name": {"Ref": "Colour"}},
        {"Name": {"Ref": "AWS::StackName"}},
        {"Name": {"Fn::Sub": "${Colour}-${AWS::Region}-${!Literal}"}},
        {"Name": {"Fn::Sub": ["${Own}", {"Own": {"Ref": "Colour"}}]}},
        {"Name": {"Fn::GetAtt": ["Form", "Arn"]}},
        {"Name": {"Fn::GetAtt": "Form.Arn"}},
        {"Name": {"Fn::If": ["Big", "a", {"Ref": "Notes"}]}},
    ],
)
def test_what_a_resource_refers_to_may_stand_in_the_running_template(properties: dict[str, Any]) -> None:
    assert isinstance(bridge(RUNNING, wanted(Notes=table(**properties)), (NOTES,)), Bridge)


@pytest.mark.parametrize(
    "body",
    [
        table(Key={"Ref": "New"}),
        table(Key={"Fn::GetAtt": ["New", "Arn"]}),
        table(Key={"Fn::GetAtt": "New.Arn"}),
        table(Key={"Fn::Sub": "arn:${New.Arn}"}),
        table(Key={"Fn::Sub": ["${Own}", {"Own": {"Ref": "New"}}]}),
        table(Key={"Fn::If": ["New", "a", "b"]}),
        table(Key={"Fn::FindInMap": ["New", "a", "b"]}),
        {**table(), "Condition": "New"},
        {**table(), "DependsOn": "New"},
        {**table(), "DependsOn": ["Form", "New"]},
    ],
)
def test_what_refers_to_something_that_is_not_there_yet_is_for_a_person(body: dict[str, Any]) -> None:
    assert bridge(RUNNING, wanted(Notes=body, New=KEY), (NOTES,)) == Unbridgeable(
        "Notes: it refers to New, which the stack does not have yet"
    )


def test_what_cannot_be_imported_is_for_a_person() -> None:
    other = Orphan(logical_id="Notes", resource_type="AWS::Cassandra::Table", physical_id="x")
    loose = {"Type": "AWS::DynamoDB::Table"}

    assert bridge(RUNNING, wanted(Notes=table()), (other,)) == Unbridgeable(
        "Notes: nobody here knows by what a AWS::Cassandra::Table is imported"
    )
    assert bridge(RUNNING, wanted(), (NOTES,)) == Unbridgeable("Notes: the release does not define it")
    assert bridge(RUNNING, wanted(Notes=loose), (NOTES,)) == Unbridgeable(
        "Notes: the release does not retain it"
    )
    assert bridge({**RUNNING, "Transform": "X"}, wanted(Notes=table()), (NOTES,)) == Unbridgeable(
        "its template is made by a macro"
    )


def _schemas() -> Iterator[dict[str, Any]]:
    import cfnlint

    for path in (Path(cfnlint.__file__).parent / "data/schemas/resources").glob("*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        if schema.get("typeName") in IDENTIFIERS:
            yield schema


def test_resources_are_imported_by_the_primary_identifier_of_their_type() -> None:
    known = {schema["typeName"]: schema["primaryIdentifier"] for schema in _schemas()}

    assert known == {kind: [f"/properties/{name}"] for kind, name in IDENTIFIERS.items()}
    assert set(IDENTIFIERS) <= STATEFUL_TYPES
