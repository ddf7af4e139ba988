"""CloudFormation's statuses, marks and effects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.stack import (
    DEPLOYABLE,
    FAILED_CREATION,
    IN_PROGRESS,
    NEEDS_A_PERSON,
    SUCCEEDED,
    ChangeSetView,
    ExecutionStatus,
    Mark,
    ResourceChange,
    StackStatus,
    effect_of,
    parameters_digest,
)
from tests.model.strategies import digests, of, release_names

S = StackStatus


def _enum(shape: str) -> set[str]:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel, StringShape

    model = ServiceModel(Loader().load_service_model("cloudformation", "service-2"))
    found = model.shape_for(shape)
    assert isinstance(found, StringShape)
    return set(found.enum)


def test_the_statuses_are_those_of_aws() -> None:
    assert {status.value for status in S} == _enum("StackStatus")
    assert {status.value for status in ExecutionStatus} == _enum("ExecutionStatus")


def test_every_status_has_exactly_one_meaning() -> None:
    tables = (IN_PROGRESS, DEPLOYABLE, NEEDS_A_PERSON, frozenset({S.REVIEW_IN_PROGRESS, S.DELETE_COMPLETE}))

    assert sum(len(table) for table in tables) == len(S)
    assert frozenset().union(*tables) == frozenset(S)


def test_what_succeeded_can_be_deployed_to_and_a_failed_creation_needs_a_person() -> None:
    assert SUCCEEDED < DEPLOYABLE
    assert FAILED_CREATION < NEEDS_A_PERSON


def test_every_status_in_progress_says_so_and_only_review_lies() -> None:
    assert {status for status in S if status.endswith("_IN_PROGRESS")} == IN_PROGRESS | {S.REVIEW_IN_PROGRESS}


@given(release=release_names, digest=digests, commit=st.from_regex(r"[0-9a-f]{40}", fullmatch=True))
def test_a_mark_survives_its_text(release: object, digest: str, commit: str) -> None:
    mark = Mark(release=str(release), digest=digest, commit=commit)

    assert Mark.parse(mark.text()) == mark


@pytest.mark.parametrize(
    "text", ["", "intake@1.0.0", "a b c", "a sha256:b", "a sha256:b c d", "https://example.com/ sha1:b c"]
)
def test_another_output_is_no_mark(text: str) -> None:
    assert Mark.parse(text) is None


changes = st.lists(of(ResourceChange), max_size=6, unique=True)


@given(found=changes, data=st.data())
def test_an_effect_depends_on_no_order_and_on_no_physical_id(
    found: list[ResourceChange], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(found))
    elsewhere = tuple(
        replace(change, physical_id=data.draw(st.text(max_size=5)), nested_change_set="arn:elsewhere")
        for change in shuffled
    )

    assert effect_of(tuple(shuffled)) == effect_of(tuple(found))
    assert effect_of(elsewhere) == effect_of(tuple(found))


@pytest.mark.parametrize("field", ["logical_id", "resource_type", "action", "replacement", "policy_action"])
def test_an_effect_depends_on_everything_else(field: str) -> None:
    change = ResourceChange(logical_id="Table", resource_type="AWS::DynamoDB::Table", action="Modify")

    assert effect_of((change,)) != effect_of((replace(change, **{field: "other"}),))
    assert effect_of((change,)) != effect_of((change, replace(change, logical_id="Other")))
    assert effect_of((change,)) != effect_of((replace(change, scope=("Properties",)),))


@given(parameters=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), unique=True), data=st.data())
def test_the_digest_of_parameters_depends_on_no_order(
    parameters: list[tuple[str, str]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(parameters))

    assert parameters_digest(tuple(shuffled)) == parameters_digest(tuple(parameters))


@pytest.mark.parametrize(
    ("status", "reason", "empty"),
    [
        ("FAILED", "The submitted information didn't contain changes. Submit different information.", True),
        ("FAILED", "No updates are to be performed.", True),
        ("FAILED", "Resource handler said: No updates are to be performed.", False),
        ("CREATE_COMPLETE", "No updates are to be performed.", False),
        ("FAILED", "", False),
    ],
)
def test_an_empty_change_set_is_known_by_its_text(status: str, reason: str, empty: bool) -> None:
    view = ChangeSetView(
        name="tg-1",
        arn="arn",
        stack_id="id",
        status=status,
        execution=ExecutionStatus.UNAVAILABLE,
        reason=reason,
    )

    assert view.is_empty is empty
