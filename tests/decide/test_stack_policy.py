"""What CloudFormation itself is told to refuse, and that it is only ever told to refuse more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.simulated.stack_policy import denied_by
from pipeline.decide.guard import findings
from pipeline.decide.stack_policy import (
    GUARDED_TYPES,
    MAX_POLICY_BYTES,
    asks_the_policy,
    denied,
    tightened,
)
from pipeline.decide.stateful import STATEFUL_TYPES
from pipeline.errors import BlockedByPolicy
from pipeline.model.stack import ResourceChange

TABLE = "AWS::DynamoDB::Table"
ALLOW = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}


def first(*ids: str) -> str:
    policy = tightened("", ids)
    assert policy is not None
    return policy.decode("ascii")


def statements(policy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def test_the_first_policy_allows_updates_and_denies_what_would_lose_data() -> None:
    assert statements(first("Forms", "Files")) == [
        ALLOW,
        {
            "Effect": "Deny",
            "Action": "Update:Replace",
            "Principal": "*",
            "Resource": "*",
            "Condition": {"StringEquals": {"ResourceType": sorted(GUARDED_TYPES)}},
        },
        {
            "Effect": "Deny",
            "Action": "Update:Delete",
            "Principal": "*",
            "Resource": ["LogicalResourceId/Files", "LogicalResourceId/Forms"],
        },
    ]


def test_a_stack_that_holds_nothing_denies_replacing_all_the_same() -> None:
    assert [s["Action"] for s in statements(first())] == ["Update:*", "Update:Replace"]


def test_a_policy_that_is_there_already_is_not_set_again() -> None:
    assert tightened(first("Forms"), {"Forms"}) is None
    assert tightened(first("Forms", "Files"), {"Forms"}) is None
    assert tightened(first(), ()) is None


def test_a_resource_that_is_gone_stays_under_its_denial_and_a_new_one_comes_under_it() -> None:
    policy = tightened(first("Forms"), {"Files"})

    assert policy is not None
    assert policy.decode() == first("Files", "Forms")


def test_somebody_elses_statements_stay_and_nothing_is_allowed_that_was_not() -> None:
    theirs = [
        {"Effect": "Allow", "Action": "Update:Modify", "Principal": "*", "Resource": "LogicalResourceId/*"},
        {"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "LogicalResourceId/Vpc"},
    ]
    policy = tightened(json.dumps({"Statement": theirs}), {"Forms"})

    assert policy is not None
    assert statements(policy.decode()) == [*theirs, *statements(first("Forms"))[1:]]


def test_a_policy_of_one_statement_is_read_like_a_list_of_one() -> None:
    policy = tightened(json.dumps({"Statement": ALLOW}), {"Forms"})

    assert policy == first("Forms").encode()


def test_types_of_another_version_stay_denied() -> None:
    older = statements(first("Forms"))
    older[1]["Condition"]["StringEquals"]["ResourceType"] = ["AWS::Gone::Store"]
    policy = tightened(json.dumps({"Statement": older}), {"Forms"})

    assert policy is not None
    types = statements(policy.decode())[1]["Condition"]["StringEquals"]["ResourceType"]
    assert types == sorted({*GUARDED_TYPES, "AWS::Gone::Store"})


@pytest.mark.parametrize("text", ["{", "[]", "{}", '"x"', '{"Statement": "x"}', '{"Statement": [1]}'])
def test_a_policy_that_cannot_be_read_is_left_alone(text: str) -> None:
    with pytest.raises(BlockedByPolicy):
        tightened(text, {"Forms"})


def test_a_policy_has_room_for_as_much_as_aws_takes_and_no_more() -> None:
    room = MAX_POLICY_BYTES - len(first("A"))

    assert len(first("A" * (1 + room))) == MAX_POLICY_BYTES
    with pytest.raises(BlockedByPolicy):
        tightened("", ["A" * (2 + room)])


# --- the guard and the policy say the same ----------------------------------------------------------

ids = st.frozensets(st.sampled_from(["Forms", "Files", "Keys", "Logs"]))
loose = st.builds(
    lambda action, resource: {"Effect": "Deny", "Action": action, "Principal": "*", "Resource": resource},
    st.sampled_from(["Update:*", "Update:Modify", "Update:Delete"]),
    st.sampled_from(["*", "LogicalResourceId/Forms", ["LogicalResourceId/Keys"], "LogicalResourceId/F*"]),
)
changes = st.builds(
    ResourceChange,
    logical_id=st.sampled_from(["Forms", "Files", "Keys", "Logs"]),
    resource_type=st.sampled_from([TABLE, "AWS::KMS::Key", "AWS::Lambda::Function"]),
    action=st.sampled_from(["Add", "Modify", "Remove"]),
    replacement=st.sampled_from(["True", "False", "Conditional"]),
    policy_action=st.just("Retain"),
)
typed = st.builds(
    lambda kind: {**ALLOW, "Effect": "Deny", "Condition": {"StringEquals": {"ResourceType": kind}}},
    st.sampled_from([TABLE, [TABLE, "AWS::KMS::Key"]]),
)
turned = st.sampled_from(
    [
        {"Effect": "Deny", "NotAction": "Update:Modify", "Principal": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "Update:*", "Principal": "*", "NotResource": "LogicalResourceId/Forms"},
        {**ALLOW, "Resource": "LogicalResourceId/F*"},
    ]
)
policies = st.lists(loose | typed | turned | st.just(ALLOW), min_size=1, max_size=5)


@given(before=st.lists(loose, max_size=3), sets=st.lists(ids, min_size=1, max_size=3), change=changes)
def test_a_policy_never_stops_denying_what_it_denied(
    before: list[dict[str, Any]], sets: list[frozenset[str]], change: ResourceChange
) -> None:
    policy = json.dumps({"Statement": [ALLOW, *before]})
    for protected in sets:
        denied = denied_by(policy, (change,))
        tighter = tightened(policy, protected)
        policy = policy if tighter is None else tighter.decode()
        assert set(denied) <= set(denied_by(policy, (change,)))
        assert tightened(policy, protected) is None


@given(change=changes, added=ids)
def test_a_protected_stack_lets_a_rollback_let_go_of_exactly_what_the_guard_does(
    change: ResourceChange, added: frozenset[str]
) -> None:
    """Protected after this release's HEALTHY, without what this release added: both have to agree on the way back."""
    held = {"Forms", "Files", "Keys", "Logs"} if change.resource_type in STATEFUL_TYPES else set()
    policy = first(*(held - added))
    blocked = findings((change,), added_by_this_release=added)

    assert bool(denied_by(policy, (change,))) == any(b.rule in ("removal", "replacement") for b in blocked)


@given(statements=policies, found=st.lists(changes, max_size=4, unique=True))
def test_what_a_policy_denies_is_told_before_anything_is_tried(
    statements: list[dict[str, Any]], found: list[ResourceChange]
) -> None:
    """The simulated CloudFormation reads policies for itself: the two have to agree on every one."""
    policy = json.dumps({"Statement": statements})

    assert denied(policy, found) == tuple(name for name, _ in denied_by(policy, found))


def test_without_a_policy_nothing_is_denied_and_with_one_nobody_can_read_nothing_is_known() -> None:
    removal = ResourceChange(logical_id="Forms", resource_type=TABLE, action="Remove")

    assert denied("", (removal,)) == ()
    with pytest.raises(BlockedByPolicy):
        denied("{", (removal,))


@pytest.mark.parametrize(
    ("action", "replacement", "asks"),
    [
        ("Add", "", False),
        ("Import", "", False),
        ("Modify", "False", False),
        ("Modify", "True", True),
        ("Modify", "Conditional", True),
        ("Modify", "", True),
        ("Remove", "", True),
        ("Dynamic", "", True),
    ],
)
def test_the_policy_is_asked_where_something_may_go(action: str, replacement: str, asks: bool) -> None:
    change = ResourceChange(logical_id="It", resource_type=TABLE, action=action, replacement=replacement)

    assert asks_the_policy((change,)) is asks
