"""What a change set may not do: the whole table over AWS's own words, and the sentence each row ends in."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from pipeline.decide.guard import STATEFUL_TYPES, findings
from pipeline.model.stack import ResourceChange

ACTIONS = ("Add", "Modify", "Remove", "Import", "Dynamic", "SyncWithActual", "", "Teleport")
REPLACEMENTS = ("True", "False", "Conditional", "")
POLICIES = (
    "Delete",
    "Retain",
    "Snapshot",
    "ReplaceAndDelete",
    "ReplaceAndRetain",
    "ReplaceAndSnapshot",
    "",
)
STATEFUL = "AWS::DynamoDB::Table"
STATELESS = "AWS::Lambda::Function"
NESTED = "AWS::CloudFormation::Stack"
ANY = frozenset({"*"})
CHANGED = frozenset({"Modify", "SyncWithActual"})

# (actions, types, replacements, policies) -> the sentence, without what is named in it; None where it may be done.
TABLE: tuple[tuple[frozenset[str], str, frozenset[str], frozenset[str], str | None], ...] = (
    (frozenset({"Add", "Import"}), "*", ANY, ANY, None),
    (frozenset({"Dynamic"}), "*", ANY, ANY, "Dynamic cannot be foreseen"),
    (frozenset({""}), "*", ANY, ANY, "an unnamed action cannot be foreseen"),
    (frozenset({"Teleport"}), "*", ANY, ANY, "Teleport cannot be foreseen"),
    (CHANGED | {"Remove"}, STATELESS, ANY, ANY, None),
    (CHANGED, STATEFUL, frozenset({"False"}), ANY, None),
    (CHANGED, STATEFUL, frozenset({"True"}), ANY, "would be replaced and lose its data"),
    (CHANGED, STATEFUL, frozenset({"Conditional"}), ANY, "would perhaps be replaced and lose its data"),
    (CHANGED, STATEFUL, frozenset({""}), ANY, "AWS does not say whether it would be replaced"),
    (
        frozenset({"Remove"}), STATEFUL, ANY, frozenset({"Retain", "Snapshot"}),
        "would be let go of, and its data left without an owner",
    ),
    (
        frozenset({"Remove"}), STATEFUL, ANY, frozenset(POLICIES) - {"Retain", "Snapshot"},
        "would be deleted with its data",
    ),
)  # fmt: skip

A_REMOVAL = ResourceChange(
    logical_id="Forms", resource_type=STATEFUL, action="Remove", policy_action="Retain"
)


def rows_of(change: ResourceChange) -> list[str | None]:
    """The rows of the table that speak of a change."""

    def holds(wanted: frozenset[str], value: str) -> bool:
        return wanted == ANY or value in wanted

    return [
        sentence
        for actions, kind, replacements, policies, sentence in TABLE
        if change.action in actions
        and kind in ("*", change.resource_type)
        and holds(replacements, change.replacement)
        and holds(policies, change.policy_action)
    ]


@pytest.mark.parametrize("kind", [STATEFUL, STATELESS])
@pytest.mark.parametrize("action", ACTIONS)
def test_every_combination_of_awss_words_ends_as_the_table_says(kind: str, action: str) -> None:
    for replacement, policy in product(REPLACEMENTS, POLICIES):
        change = ResourceChange(
            logical_id="Forms",
            resource_type=kind,
            action=action,
            replacement=replacement,
            policy_action=policy,
        )
        (sentence,) = rows_of(change)
        expected = () if sentence is None else (f"Forms ({kind}): {sentence}",)

        assert findings((change,)) == expected, change


@pytest.mark.parametrize("kind", sorted(STATEFUL_TYPES - {NESTED}))
def test_no_type_that_holds_data_is_replaced_or_removed(kind: str) -> None:
    replaced = ResourceChange(
        logical_id="It",
        resource_type=kind,
        action="Modify",
        replacement="True",
        policy_action="ReplaceAndRetain",
    )
    removed = ResourceChange(logical_id="It", resource_type=kind, action="Remove", policy_action="Delete")

    assert findings((replaced, removed)) == (
        f"It ({kind}): would be replaced and lose its data",
        f"It ({kind}): would be deleted with its data",
    )


@pytest.mark.parametrize(
    "kind",
    [
        "AWS::Cognito::UserPool",
        "AWS::DynamoDB::GlobalTable",
        "AWS::DynamoDB::Table",
        "AWS::EFS::FileSystem",
        "AWS::KMS::Key",
        "AWS::Kinesis::Stream",
        "AWS::Logs::LogGroup",
        "AWS::OpenSearchService::Domain",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
        "AWS::SecretsManager::Secret",
    ],
)
def test_what_clients_keep_their_data_in_is_known_to_hold_data(kind: str) -> None:
    assert kind in STATEFUL_TYPES


@pytest.mark.parametrize("action", sorted(CHANGED))
def test_a_nested_stack_whose_change_set_cannot_be_read_blocks(action: str) -> None:
    nested = ResourceChange(logical_id="Inner", resource_type=NESTED, action=action, replacement="False")

    assert findings((nested,)) == (
        "Inner (AWS::CloudFormation::Stack): the nested change set cannot be read",
    )


def test_a_nested_stack_that_has_been_read_is_judged_by_what_is_in_it() -> None:
    nested = ResourceChange(
        logical_id="Inner",
        resource_type=NESTED,
        action="Modify",
        replacement="False",
        nested_change_set="arn:aws:cloudformation:us-east-1:000000000001:changeSet/inner/1",
    )
    inside = ResourceChange(logical_id="Forms", resource_type=STATEFUL, action="Modify", replacement="True")

    assert findings((nested,)) == ()
    assert findings((nested, inside)) == (
        "Forms (AWS::DynamoDB::Table): would be replaced and lose its data",
    )


@pytest.mark.parametrize("policy", ["Delete", "Retain", ""])
def test_a_nested_stack_is_not_removed(policy: str) -> None:
    gone = ResourceChange(logical_id="Inner", resource_type=NESTED, action="Remove", policy_action=policy)

    assert len(findings((gone,))) == 1


def test_a_rollback_may_let_go_of_a_retained_resource_that_this_release_added() -> None:
    assert findings((A_REMOVAL,), added_by_this_release=frozenset({"Forms"})) == ()


def test_a_rollback_does_not_let_go_of_what_an_earlier_release_added() -> None:
    assert findings((A_REMOVAL,), added_by_this_release=frozenset({"Files"})) == (
        "Forms (AWS::DynamoDB::Table): would be let go of, and its data left without an owner",
    )


@pytest.mark.parametrize("policy", sorted(set(POLICIES) - {"Retain", "Snapshot"}))
def test_a_rollback_does_not_delete_what_this_release_added_either(policy: str) -> None:
    deleted = replace(A_REMOVAL, policy_action=policy)

    assert findings((deleted,), added_by_this_release=frozenset({"Forms"})) == (
        "Forms (AWS::DynamoDB::Table): would be deleted with its data",
    )


@pytest.mark.parametrize("replacement", ["True", "Conditional", ""])
def test_having_been_added_by_this_release_excuses_no_replacement(replacement: str) -> None:
    replaced = replace(A_REMOVAL, action="Modify", replacement=replacement)

    assert len(findings((replaced,), added_by_this_release=frozenset({"Forms"}))) == 1


def test_every_change_that_blocks_is_told_in_the_order_of_the_change_set() -> None:
    harmless = ResourceChange(logical_id="Form", resource_type=STATELESS, action="Modify")
    unforeseen = ResourceChange(logical_id="Form", resource_type=STATELESS, action="Dynamic")

    assert findings((harmless, unforeseen, A_REMOVAL)) == (
        "Form (AWS::Lambda::Function): Dynamic cannot be foreseen",
        "Forms (AWS::DynamoDB::Table): would be let go of, and its data left without an owner",
    )


def test_a_change_set_without_changes_blocks_nothing() -> None:
    assert findings(()) == ()
