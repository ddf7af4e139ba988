"""What a change set may not do: the whole table over AWS's own words, and the sentence each row ends in."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from botocore.session import Session

from pipeline.decide.guard import (
    KNOWN,
    GuardFinding,
    findings,
    is_waivable_rule,
    sentences,
    stops_only_itself,
)
from pipeline.decide.stateful import NESTED_STACK, PROTECTING_TYPES, RISKS, STATEFUL_TYPES
from pipeline.model.ids import TargetId
from pipeline.model.stack import PropertyChange, ResourceChange, effect_of

# --- AWS's words, each with the row it stands for ---------------------------------------------------

ACTIONS = ("Add", "Modify", "Remove", "Import", "Dynamic", "SyncWithActual", "", "Teleport")
REPLACEMENTS = ("True", "False", "Conditional", "", "Sideways")
POLICIES = (
    "Delete",
    "Retain",
    "Snapshot",
    "ReplaceAndDelete",
    "ReplaceAndRetain",
    "ReplaceAndSnapshot",
    "",
    "Bury",
)
STATELESS = "AWS::Lambda::Function"
TABLE_TYPE = "AWS::DynamoDB::Table"
HOLDING = sorted(STATEFUL_TYPES - {NESTED_STACK})
LEFT = ("ReplaceAndRetain", "ReplaceAndSnapshot")


def decided(kind: str, action: str, replacement: str, policy: str) -> tuple[str, str] | None:
    """The decision table, written down a second time: (rule, sentence); None where it may be done."""
    stateful = kind in STATEFUL_TYPES
    match action:
        case "Add":
            return None
        case "Import":
            return "import", "would take in a resource that no rollback here let go of"
        case "Dynamic":
            return "unforeseen", "Dynamic cannot be foreseen"
        case "Remove" if stateful and policy in ("Retain", "Snapshot"):
            return "removal", "would be let go of, and its data left without an owner"
        case "Remove" if stateful:
            return "removal", "would be deleted with its data"
        case "Modify" | "SyncWithActual" if stateful and replacement in ("True", "Conditional"):
            perhaps = "" if replacement == "True" else "perhaps "
            loss = "by an empty one, and its data left behind" if policy in LEFT else "and lose its data"
            return "replacement", f"would {perhaps}be replaced {loss}"
        case "Modify" if stateful and replacement == "":
            return "undecided", "AWS does not say whether it would be replaced"
        case _:
            return None


def unheard_of(action: str, replacement: str, policy: str) -> tuple[tuple[str, str], ...]:
    found = []
    if action in ("", "Teleport"):
        found.append(f"{action or 'an unnamed action'} cannot be foreseen")
    if replacement == "Sideways":
        found.append("AWS says Replacement Sideways, which this version does not know")
    if policy == "Bury":
        found.append("AWS says PolicyAction Bury, which this version does not know")
    return tuple(("unknown", sentence) for sentence in found)


@pytest.mark.parametrize("kind", [*HOLDING, STATELESS])
@pytest.mark.parametrize("action", ACTIONS)
def test_every_combination_of_awss_words_ends_as_the_table_says(kind: str, action: str) -> None:
    for replacement, policy in product(REPLACEMENTS, POLICIES):
        change = ResourceChange(
            logical_id="Forms",
            resource_type=kind,
            action=action,
            replacement=replacement,
            policy_action=policy,
            physical_id="forms-1",
        )
        row = decided(kind, action, replacement, policy)
        expected = unheard_of(action, replacement, policy) or (() if row is None else (row,))

        found = findings((change,))

        assert [(f.rule, f.sentence) for f in found] == list(expected), change
        assert all(f.waivable is (f.rule != "unknown") for f in found)


@pytest.mark.parametrize("enum", sorted(KNOWN))
def test_every_value_that_botocore_knows_is_decided_and_no_other(enum: str) -> None:
    shape = Session().get_service_model("cloudformation").shape_for(enum)

    assert KNOWN[enum] == set(shape.enum)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"action": "Teleport"}, "Teleport"),
        ({"replacement": "Sideways"}, "Sideways"),
        ({"policy_action": "Bury"}, "Bury"),
        ({"scope": ("Properties", "Soul")}, "Soul"),
        ({"details": (PropertyChange(attribute="Soul"),)}, "Soul"),
        ({"details": (PropertyChange(attribute="Tags", change="Melt"),)}, "Melt"),
        ({"details": (PropertyChange(attribute="Tags", recreation="Maybe"),)}, "Maybe"),
        ({"details": (PropertyChange(attribute="Tags", evaluation="Guessed"),)}, "Guessed"),
        ({"details": (PropertyChange(attribute="Tags", source="Rumour"),)}, "Rumour"),
        ({"details": (PropertyChange(attribute=""),)}, "does not say what of it"),
    ],
)
@pytest.mark.parametrize("kind", [TABLE_TYPE, STATELESS])
def test_a_word_that_this_version_does_not_know_blocks_whatever_the_type(
    kind: str, change: dict[str, object], word: str
) -> None:
    known = ResourceChange(logical_id="It", resource_type=kind, action="Modify", replacement="False")
    (found,) = findings((replace(known, **change),))  # type: ignore[arg-type]

    assert (found.rule, found.waivable) == ("unknown", False)
    assert word in found.sentence


# --- what holds data --------------------------------------------------------------------------------


def test_every_type_that_cfn_lint_calls_stateful_is_known_to_hold_data() -> None:
    import json
    from importlib.resources import files

    listed = json.loads(files("cfnlint.data.AdditionalSpecs").joinpath("StatefulResources.json").read_text())

    assert set(listed["ResourceTypes"]) - STATEFUL_TYPES == set()
    assert len(listed["ResourceTypes"]) >= 29


def test_every_risky_property_is_one_that_its_type_has() -> None:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    for kind, risks in RISKS.items():
        assert kind in STATEFUL_TYPES | PROTECTING_TYPES
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        assert set(risks) - set(schema["properties"]) == set(), kind


@pytest.mark.parametrize("kind", sorted(PROTECTING_TYPES))
def test_what_protects_the_data_of_others_is_not_taken_away(kind: str) -> None:
    removed = ResourceChange(logical_id="It", resource_type=kind, action="Remove", policy_action="Delete")
    replaced = replace(removed, action="Modify", replacement="Conditional")

    assert [(f.rule, f.sentence) for f in findings((removed, replaced))] == [
        ("protection", "would be removed, and with it the protection of others"),
        ("protection", "would perhaps be replaced, and with it the protection of others"),
    ]
    assert findings((removed,), added_by_this_release={"It"}) == ()


# --- tags -------------------------------------------------------------------------------------------

TAGGED = ResourceChange(
    logical_id="Forms",
    resource_type=TABLE_TYPE,
    action="Modify",
    replacement="False",
    scope=("Tags",),
    details=(PropertyChange(attribute="Tags", recreation="Never", evaluation="Static"),),
)


def test_a_change_of_nothing_but_tags_is_no_effect_and_blocks_nothing() -> None:
    other = ResourceChange(logical_id="Form", resource_type=STATELESS, action="Modify", replacement="False")

    assert findings((TAGGED,)) == ()
    assert effect_of((TAGGED, other)) == effect_of((other,))
    assert effect_of((TAGGED,)) == effect_of(())


@pytest.mark.parametrize("kind", [TABLE_TYPE, STATELESS])
def test_tags_that_replace_what_carries_them_are_an_effect(kind: str) -> None:
    replaced = replace(TAGGED, resource_type=kind, replacement="True")

    assert effect_of((replaced,)) != effect_of(())
    assert bool(findings((replaced,))) is (kind == TABLE_TYPE)


def test_tags_beside_another_change_are_an_effect() -> None:
    assert effect_of((replace(TAGGED, scope=("Metadata", "Tags")),)) != effect_of(())


# --- nested stacks ----------------------------------------------------------------------------------


def nested(**more: str) -> ResourceChange:
    known = ResourceChange(
        logical_id="Inner", resource_type=NESTED_STACK, action="Modify", replacement="False"
    )
    return replace(known, **more)  # type: ignore[arg-type]


def test_a_nested_stack_whose_change_set_cannot_be_read_blocks_and_nobody_can_waive_that() -> None:
    (found,) = findings((nested(),))

    assert str(found) == "Inner (AWS::CloudFormation::Stack): the nested change set cannot be read"
    assert not found.waivable


def test_a_nested_stack_that_has_been_read_is_judged_by_what_is_in_it() -> None:
    read = nested(nested_change_set="arn:aws:cloudformation:us-east-1:000000000001:changeSet/inner/1")
    inside = ResourceChange(
        logical_id="Inner/Forms", resource_type=TABLE_TYPE, action="Modify", replacement="True"
    )

    assert findings((read,)) == ()
    assert sentences(findings((read, inside))) == (
        "Inner/Forms (AWS::DynamoDB::Table): would be replaced and lose its data",
    )


@pytest.mark.parametrize("policy", ["Delete", "Retain", ""])
def test_a_nested_stack_is_not_removed(policy: str) -> None:
    assert [f.rule for f in findings((nested(action="Remove", policy_action=policy),))] == ["removal"]


# --- the way back, and taking in again --------------------------------------------------------------

A_REMOVAL = ResourceChange(
    logical_id="Forms",
    resource_type=TABLE_TYPE,
    action="Remove",
    policy_action="Retain",
    physical_id="forms-1",
)


def test_a_rollback_may_let_go_of_a_retained_resource_that_this_release_added() -> None:
    assert findings((A_REMOVAL,), added_by_this_release=frozenset({"Forms"})) == ()


def test_a_rollback_does_not_let_go_of_what_an_earlier_release_added() -> None:
    assert sentences(findings((A_REMOVAL,), added_by_this_release=frozenset({"Files"}))) == (
        "Forms (AWS::DynamoDB::Table): would be let go of, and its data left without an owner",
    )


@pytest.mark.parametrize("policy", [*sorted(KNOWN["PolicyAction"] - {"Retain"}), ""])
def test_a_rollback_does_not_delete_what_this_release_added_either(policy: str) -> None:
    deleted = replace(A_REMOVAL, policy_action=policy)

    assert [f.rule for f in findings((deleted,), added_by_this_release=frozenset({"Forms"}))] == ["removal"]


@pytest.mark.parametrize("replacement", ["True", "Conditional", ""])
def test_having_been_added_by_this_release_excuses_no_replacement(replacement: str) -> None:
    replaced = replace(A_REMOVAL, action="Modify", replacement=replacement)

    assert len(findings((replaced,), added_by_this_release=frozenset({"Forms"}))) == 1


@pytest.mark.parametrize(
    ("ours", "allowed"),
    [
        ({("Forms", "forms-1")}, True),
        ({("Forms", "forms-2")}, False),
        ({("Files", "forms-1")}, False),
        (set(), False),
    ],
)
@pytest.mark.parametrize("kind", [TABLE_TYPE, STATELESS])
def test_only_what_a_rollback_here_let_go_of_is_taken_in_again(
    kind: str, ours: set[tuple[str, str]], allowed: bool
) -> None:
    taken = ResourceChange(logical_id="Forms", resource_type=kind, action="Import", physical_id="forms-1")

    assert (findings((taken,), ours=ours) == ()) is allowed


def test_a_resource_without_a_physical_id_is_never_taken_in() -> None:
    taken = ResourceChange(logical_id="Forms", resource_type=TABLE_TYPE, action="Import")

    assert [f.rule for f in findings((taken,), ours={("Forms", "")})] == ["import"]


# --- the report -------------------------------------------------------------------------------------


def test_every_change_that_blocks_is_told_in_the_order_of_the_change_set() -> None:
    harmless = ResourceChange(logical_id="Form", resource_type=STATELESS, action="Modify")
    unforeseen = ResourceChange(logical_id="Form", resource_type=STATELESS, action="Dynamic")
    changes = (harmless, unforeseen, A_REMOVAL)

    assert findings(changes) == (
        GuardFinding(
            logical_id="Form",
            resource_type=STATELESS,
            rule="unforeseen",
            sentence="Dynamic cannot be foreseen",
            effect=effect_of(changes),
        ),
        GuardFinding(
            logical_id="Forms",
            resource_type=TABLE_TYPE,
            rule="removal",
            sentence="would be let go of, and its data left without an owner",
            physical_id="forms-1",
            effect=effect_of(changes),
        ),
    )


@pytest.mark.parametrize(
    ("rule", "waivable"),
    [
        *(
            (rule, True)
            for rule in ("import", "protection", "removal", "replacement", "undecided", "unforeseen")
        ),
        ("property:KeyPolicy", True),
        ("policy:DeletionPolicy", True),
        *(
            (rule, False)
            for rule in ("unknown", "unreadable", "", "property", "property:", "policy:", ":x", "x:y")
        ),
    ],
)
def test_what_nobody_has_read_or_understood_cannot_be_waived(rule: str, waivable: bool) -> None:
    assert is_waivable_rule(rule) is waivable


def test_a_change_set_without_changes_blocks_nothing() -> None:
    assert findings(()) == ()


def test_a_blocked_client_stops_itself_and_a_blocked_service_or_test_account_stops_all() -> None:
    assert stops_only_itself(TargetId("acme", "us-east-1"))
    assert not stops_only_itself(TargetId("@intake", "us-east-1"))
    assert not stops_only_itself(TargetId("~qa-001", "us-east-1"))
