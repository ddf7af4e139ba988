"""A plan survives its JSON with the same digest, and nothing else passes for a plan."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from pipeline.model.plan import Plan, plan_digest, plan_from_json, plan_to_json
from tests.model.strategies import plans


@settings(max_examples=60, deadline=None)
@given(plan=plans)
def test_a_plan_survives_its_json_with_the_same_digest(plan: Plan) -> None:
    again = plan_from_json(plan_to_json(plan))

    assert again == plan
    assert plan_digest(again) == plan_digest(plan)
    assert plan_to_json(again) == plan_to_json(plan)


@settings(max_examples=60, deadline=None)
@given(plan=plans)
def test_the_order_of_the_keys_of_a_plan_file_does_not_matter(plan: Plan) -> None:
    raw = json.loads(plan_to_json(plan))
    pretty = json.dumps(dict(reversed(raw.items())), indent=3).encode()

    assert plan_digest(plan_from_json(pretty)) == plan_digest(plan)


@settings(max_examples=60, deadline=None)
@given(one=plans, other=plans)
def test_different_plans_have_different_digests(one: Plan, other: Plan) -> None:
    assert (plan_digest(one) == plan_digest(other)) is (one == other)


@settings(max_examples=10, deadline=None)
@given(plan=plans)
def test_a_plan_with_a_strange_or_missing_field_is_refused(plan: Plan) -> None:
    raw = json.loads(plan_to_json(plan))

    for changed in (
        {**raw, "surprise": 1},
        {name: value for name, value in raw.items() if name != "waves"},
        {**raw, "created_at": "yesterday"},
        {**raw, "targets": {}},
        {**raw, "release": "intake@1.0.0"},
    ):
        with pytest.raises(ValueError, match=r".+"):
            plan_from_json(json.dumps(changed).encode())


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"{}", b"\xff\xfe", b"1", b"[" * 100_000])
def test_what_is_not_a_plan_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        plan_from_json(content)
