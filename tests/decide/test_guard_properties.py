"""Changes in place that endanger data all the same: single properties, and policies that no longer keep it."""

from __future__ import annotations

import json

import pytest

from pipeline.decide.guard import findings
from pipeline.decide.stateful import RISKS, AnyChange, MustBe, NeverLess, is_weighed
from pipeline.model.stack import PropertyChange, ResourceChange, effect_of

TABLE = "AWS::DynamoDB::Table"


def modified(kind: str, *details: PropertyChange, scope: tuple[str, ...] = ("Properties",)) -> ResourceChange:
    return ResourceChange(
        logical_id="It",
        resource_type=kind,
        action="Modify",
        replacement="False",
        scope=scope,
        physical_id="it-1",
        details=details,
    )


def detail(path: str, after: str = "", before: str = "", **more: str) -> PropertyChange:
    told = {
        "attribute": "Properties",
        "name": path.split("/")[0],
        "path": f"/Properties/{path}",
        "change": "Modify",
        "recreation": "Never",
        "evaluation": "Static",
        "source": "DirectModification",
    } | more
    return PropertyChange(before=before, after=after, **told)


def rules(change: ResourceChange) -> list[str]:
    return [found.rule for found in findings((change,))]


EVERY = [(kind, name) for kind, risks in sorted(RISKS.items()) for name in sorted(risks)]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_risky_property_blocks_where_its_value_is_not_known(kind: str, name: str) -> None:
    assert rules(modified(kind, detail(name))) == [f"property:{name}"]
    assert rules(modified(kind, PropertyChange(attribute="Properties", name=name))) == [f"property:{name}"]


def good(kind: str, name: str) -> PropertyChange | None:
    match RISKS[kind][name]:
        case MustBe(value=value, flag=flag):
            return detail(f"{name}/{flag}" if flag else name, value)
        case NeverLess():
            return detail(name, "8", "7")
        case AnyChange():
            return None


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_what_only_gets_safer_is_let_through(kind: str, name: str) -> None:
    safer = good(kind, name)

    assert rules(modified(kind, *([safer] if safer else []), detail("Description"))) == []


@pytest.mark.parametrize(("kind", "name"), EVERY)
@pytest.mark.parametrize("doubt", [{"evaluation": "Dynamic"}, {"change": "Remove"}])
def test_what_is_taken_away_or_only_known_when_it_happens_blocks(
    kind: str, name: str, doubt: dict[str, str]
) -> None:
    match RISKS[kind][name]:
        case MustBe(value=value, flag=flag):
            change = detail(f"{name}/{flag}" if flag else name, value, **doubt)
        case _:
            change = detail(name, "8", "7", **doubt)

    assert rules(modified(kind, change)) == [f"property:{name}"]


def test_what_only_follows_the_account_changes_nothing() -> None:
    assert rules(modified("AWS::KMS::Key", detail("KeyPolicy", change="SyncWithActual"))) == []


@pytest.mark.parametrize(
    ("kind", "change", "expected"),
    [
        ("AWS::Cognito::UserPool", detail("Schema/3"), ["property:Schema"]),
        ("AWS::Cognito::UserPool", detail("DeletionProtection", "INACTIVE"), ["property:DeletionProtection"]),
        ("AWS::KMS::Key", detail("KeyPolicy/Statement/0"), ["property:KeyPolicy"]),
        ("AWS::KMS::Key", detail("Description"), []),
        ("AWS::S3::Bucket", detail("LifecycleConfiguration/Rules/0"), ["property:LifecycleConfiguration"]),
        ("AWS::S3::BucketPolicy", detail("PolicyDocument"), ["property:PolicyDocument"]),
        (TABLE, detail("DeletionProtectionEnabled", "false", "true"), ["property:DeletionProtectionEnabled"]),
        (TABLE, detail("TimeToLiveSpecification/Enabled", "true"), ["property:TimeToLiveSpecification"]),
        (TABLE, detail("TimeToLiveSpecification/Enabled", "false"), []),
        (TABLE, detail("TimeToLiveSpecification/AttributeName", "x"), ["property:TimeToLiveSpecification"]),
        (TABLE, detail("BillingMode", "PAY_PER_REQUEST"), []),
        (TABLE, detail("SSESpecification/SSEEnabled", "false"), ["property:SSESpecification"]),
        (TABLE, detail("SSESpecification/KMSMasterKeyId", evaluation="Dynamic"), []),
        (TABLE, detail("SSESpecification", evaluation="Dynamic"), ["property:SSESpecification"]),
        (
            TABLE,
            detail("PointInTimeRecoverySpecification/RecoveryPeriodInDays", "1", "35"),
            ["property:PointInTimeRecoverySpecification"],
        ),
        ("AWS::RDS::DBInstance", detail("BackupRetentionPeriod", "1", "7"), ["property:BackupRetentionPeriod"]),
        ("AWS::RDS::DBInstance", detail("BackupRetentionPeriod", "14", "7"), []),
        ("AWS::RDS::DBInstance", detail("BackupRetentionPeriod", "many", "7"), ["property:BackupRetentionPeriod"]),
        ("AWS::Logs::LogGroup", detail("RetentionInDays", "30", "365"), ["property:RetentionInDays"]),
    ],
)  # fmt: skip
def test_the_properties_that_the_reference_names(
    kind: str, change: PropertyChange, expected: list[str]
) -> None:
    assert rules(modified(kind, change)) == expected


@pytest.mark.parametrize(
    ("after", "safe"),
    [
        ({"PointInTimeRecoveryEnabled": True}, True),
        ({"PointInTimeRecoveryEnabled": "true"}, True),
        ({"PointInTimeRecoveryEnabled": False}, False),
        ({"PointInTimeRecoveryEnabled": 1}, False),
        ({}, False),
        ([True], False),
    ],
)
def test_a_property_that_is_told_as_a_whole_is_read_as_a_whole(after: object, safe: bool) -> None:
    whole = detail("PointInTimeRecoverySpecification", json.dumps(after), change="Add")

    assert (rules(modified(TABLE, whole)) == []) is safe


@pytest.mark.parametrize("text", ["", "{", "(Truncated)", "{{changeSet:KNOWN_AFTER_APPLY}}"])
def test_a_value_that_cannot_be_read_is_not_safe(text: str) -> None:
    whole = detail("PointInTimeRecoverySpecification", text)

    assert rules(modified(TABLE, whole)) == ["property:PointInTimeRecoverySpecification"]


def test_properties_that_nobody_names_block_where_some_are_risky() -> None:
    assert rules(modified(TABLE)) == ["undecided"]
    assert rules(modified(TABLE, PropertyChange(attribute="Properties"))) == ["undecided"]
    assert rules(modified(TABLE, scope=())) == []
    assert rules(modified("AWS::SDB::Domain")) == []


@pytest.mark.parametrize("attribute", ["Metadata", "CreationPolicy", "UpdatePolicy"])
def test_an_attribute_that_touches_no_data_is_let_through(attribute: str) -> None:
    change = modified(TABLE, PropertyChange(attribute=attribute), scope=(attribute,))

    assert rules(change) == []


@pytest.mark.parametrize(
    ("attribute", "after", "safe"),
    [
        ("DeletionPolicy", "Retain", True),
        ("DeletionPolicy", "RetainExceptOnCreate", True),
        ("DeletionPolicy", "Snapshot", True),
        ("DeletionPolicy", "Delete", False),
        ("DeletionPolicy", "", False),
        ("UpdateReplacePolicy", "Retain", True),
        ("UpdateReplacePolicy", "RetainExceptOnCreate", False),
        ("UpdateReplacePolicy", "Delete", False),
    ],
)
def test_a_policy_may_only_become_one_that_keeps_the_data(attribute: str, after: str, safe: bool) -> None:
    change = PropertyChange(attribute=attribute, after=after)

    assert rules(modified(TABLE, change, scope=(attribute,))) == ([] if safe else [f"policy:{attribute}"])
    assert rules(modified(TABLE, scope=(attribute,))) == [f"policy:{attribute}"]
    assert rules(modified("AWS::Lambda::Function", change, scope=(attribute,))) == []


def test_each_risk_of_one_resource_is_a_finding_of_its_own() -> None:
    change = modified(
        TABLE,
        detail("TimeToLiveSpecification/Enabled", "true"),
        detail("DeletionProtectionEnabled", "false"),
        PropertyChange(attribute="DeletionPolicy", after="Delete"),
        scope=("DeletionPolicy", "Properties"),
    )

    assert rules(change) == [
        "policy:DeletionPolicy",
        "property:DeletionProtectionEnabled",
        "property:TimeToLiveSpecification",
    ]


def test_only_values_that_decide_are_kept() -> None:
    assert is_weighed(TABLE, "Properties", "DeletionProtectionEnabled")
    assert is_weighed("AWS::Lambda::Function", "DeletionPolicy", "")
    assert not is_weighed("AWS::SecretsManager::Secret", "Properties", "SecretString")
    assert not is_weighed("AWS::Lambda::Function", "Properties", "Environment")
    assert not is_weighed(TABLE, "Tags", "DeletionProtectionEnabled")


def test_an_effect_tells_properties_apart_but_not_what_differs_from_account_to_account() -> None:
    one = modified(TABLE, detail("BillingMode"))
    elsewhere = modified(TABLE, detail("BillingMode/0", source="ParameterReference", evaluation="Dynamic"))

    assert effect_of((one,)) == effect_of((elsewhere,))
    assert effect_of((one,)) != effect_of((modified(TABLE, detail("KeySchema")),))
    assert effect_of((one,)) != effect_of((modified(TABLE),))
