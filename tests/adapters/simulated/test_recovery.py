"""The simulated cloud in trouble: every stack status, rollbacks that stick, resources that outlive their stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from botocore.session import Session

from pipeline.adapters.simulated.changes import Physical
from pipeline.adapters.simulated.cloud import Break, Temper
from pipeline.adapters.simulated.stack import CloudTimes, ScriptedRelease
from pipeline.errors import ExecutionTokenUsed, RequestRefused, StackBusy
from pipeline.model.stack import IN_PROGRESS, ExecutionStatus, ResourceChange, StackStatus
from pipeline.ports import ResourceToImport
from tests.adapters.simulated.scene import ACME, FORM, ONE, STACK, TABLE, THREE, TWO, Scene, scripted

S = StackStatus


# --- every status ----------------------------------------------------------------------------------


def _creation_fails(scene: Scene, on_failure: str, *hows: str) -> list[StackStatus | None]:
    scene.breaks(ONE, "deploy", *hows)
    scene.cloud.by_hand(ACME, STACK, ONE, on_failure=on_failure)
    return scene.shown()


def _update_fails(scene: Scene, *hows: str, on_failure: str = "") -> list[StackStatus | None]:
    scene.cloud.by_hand(ACME, STACK, ONE, S.CREATE_COMPLETE)
    scene.breaks(TWO, "deploy", *hows)
    scene.cloud.by_hand(ACME, STACK, TWO, on_failure=on_failure)
    return scene.shown()


def _import(scene: Scene, *hows: str) -> list[StackStatus | None]:
    scene.cloud.by_hand(ACME, STACK, ONE, S.CREATE_COMPLETE)
    wanted = replace(
        scripted("2.0.0", FORM, TABLE, retained=("Table",)),
        mark=scripted("1.0.0").mark,
        functions=scripted("1.0.0").functions,
    )
    scene.cloud.release(wanted)
    scene.breaks(TWO, *hows)
    inventory = scene.cloud.formation(ACME).inventory
    inventory[Physical(resource_type=TABLE[1], physical_id="old-forms")] = ""
    table = ResourceToImport(
        logical_id="Table", resource_type=TABLE[1], identifier=(("TableName", "old-forms"),)
    )
    return scene.execute(replace(scene.request(TWO), import_resources=(table,)))


def _review(scene: Scene) -> list[StackStatus | None]:
    scene.made(scene.request(ONE, creating=True))
    return scene.shown()


def _deletion(scene: Scene, *, fails: bool) -> list[StackStatus | None]:
    scene.cloud.by_hand(ACME, STACK, ONE, S.CREATE_COMPLETE)
    found = scene.stacks.describe(ACME, STACK)
    assert found is not None
    scene.cloud.deleted_by_hand(ACME, STACK, fails=fails)
    shown = scene.shown()
    last = scene.stacks.describe(ACME, found.stack_id)
    assert last is not None
    return [*shown, last.status]


WAYS: list[tuple[Callable[[Scene], list[StackStatus | None]], list[StackStatus | None]]] = [
    (_review, [S.REVIEW_IN_PROGRESS]),
    (lambda s: s.deploy(ONE, creating=True), [S.CREATE_IN_PROGRESS, S.CREATE_COMPLETE]),
    (
        lambda s: _creation_fails(s, "ROLLBACK"),
        [S.CREATE_IN_PROGRESS, S.ROLLBACK_IN_PROGRESS, S.ROLLBACK_COMPLETE],
    ),
    (
        lambda s: _creation_fails(s, "ROLLBACK", "rollback"),
        [S.CREATE_IN_PROGRESS, S.ROLLBACK_IN_PROGRESS, S.ROLLBACK_FAILED],
    ),
    (lambda s: _creation_fails(s, "DO_NOTHING"), [S.CREATE_IN_PROGRESS, S.CREATE_FAILED]),
    (
        lambda s: _update_fails(s),
        [
            S.UPDATE_IN_PROGRESS,
            S.UPDATE_ROLLBACK_IN_PROGRESS,
            S.UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS,
            S.UPDATE_ROLLBACK_COMPLETE,
        ],
    ),
    (
        lambda s: _update_fails(s, "rollback"),
        [S.UPDATE_IN_PROGRESS, S.UPDATE_ROLLBACK_IN_PROGRESS, S.UPDATE_ROLLBACK_FAILED],
    ),
    (lambda s: _update_fails(s, on_failure="DO_NOTHING"), [S.UPDATE_IN_PROGRESS, S.UPDATE_FAILED]),
    (
        lambda s: (s.deploy(ONE, creating=True), s.deploy(TWO))[1],
        [S.UPDATE_IN_PROGRESS, S.UPDATE_COMPLETE_CLEANUP_IN_PROGRESS, S.UPDATE_COMPLETE],
    ),
    (lambda s: _import(s), [S.IMPORT_IN_PROGRESS, S.IMPORT_COMPLETE]),
    (
        lambda s: _import(s, "deploy"),
        [S.IMPORT_IN_PROGRESS, S.IMPORT_ROLLBACK_IN_PROGRESS, S.IMPORT_ROLLBACK_COMPLETE],
    ),
    (
        lambda s: _import(s, "deploy", "rollback"),
        [S.IMPORT_IN_PROGRESS, S.IMPORT_ROLLBACK_IN_PROGRESS, S.IMPORT_ROLLBACK_FAILED],
    ),
    (lambda s: _deletion(s, fails=False), [S.DELETE_IN_PROGRESS, None, S.DELETE_COMPLETE]),
    (lambda s: _deletion(s, fails=True), [S.DELETE_IN_PROGRESS, S.DELETE_FAILED, S.DELETE_FAILED]),
]


@pytest.mark.parametrize(("way", "expected"), WAYS)
def test_an_operation_goes_through_its_statuses_in_awss_order(
    way: Callable[[Scene], list[StackStatus | None]], expected: list[StackStatus | None]
) -> None:
    assert way(Scene()) == expected


def test_every_status_of_botocores_model_is_reached_by_something_that_happens() -> None:
    model = Session().get_service_model("cloudformation").shape_for("StackStatus")

    reached = {status for _, statuses in WAYS for status in statuses if status is not None}
    assert sorted(reached) == sorted(model.enum)


@pytest.mark.parametrize("status", list(S))
def test_every_status_can_be_left_behind_to_be_found(status: StackStatus) -> None:
    scene = Scene()
    scene.cloud.by_hand(ACME, STACK, ONE, status)

    found = scene.stacks.describe(ACME, STACK)
    assert (None if found is None else found.status) == (None if status is S.DELETE_COMPLETE else status)


def test_an_operation_tells_the_words_of_the_resource_that_failed_first() -> None:
    quota = "Limit reached (HandlerErrorCode: ServiceLimitExceeded)"
    scene = Scene()
    scene.deploy(ONE, creating=True)
    scene.cloud.breaks(Break(template=TWO.template, how="deploy", reason=quota))
    request = scene.request(TWO)
    scene.execute(request)

    found = scene.stacks.operation(ACME, STACK, request.token)
    assert found is not None
    assert (found.status, found.reason) == (S.UPDATE_ROLLBACK_COMPLETE, f"Form: {quota}")


# --- rollbacks that stick --------------------------------------------------------------------------


def _stuck(scene: Scene, *hows: str) -> None:
    scene.deploy(ONE, creating=True)
    scene.breaks(TWO, "deploy", "rollback", *hows, resources=("Table",))
    assert scene.deploy(TWO)[-1] is S.UPDATE_ROLLBACK_FAILED


def test_a_stuck_rollback_names_what_holds_it_and_goes_on_once_the_cause_has_gone() -> None:
    scene = Scene()
    _stuck(scene)

    failed = scene.stacks.failed_resources(ACME, STACK)
    assert list(failed) == ["Table"]
    assert "HandlerErrorCode" in failed["Table"]
    assert scene.continued() == [
        S.UPDATE_ROLLBACK_IN_PROGRESS,
        S.UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS,
        S.UPDATE_ROLLBACK_COMPLETE,
    ]
    assert scene.stacks.failed_resources(ACME, STACK) == {}
    assert scene.runs() == "intake@1.0.0"
    assert scene.deploy(THREE)[-1] is S.UPDATE_COMPLETE


def test_a_continued_rollback_fails_as_long_as_its_cause_is_there() -> None:
    scene = Scene()
    _stuck(scene, "continue")

    for _ in range(2):
        assert scene.continued() == [S.UPDATE_ROLLBACK_IN_PROGRESS, S.UPDATE_ROLLBACK_FAILED]
    scene.cloud.mends(TWO.template)
    assert scene.continued()[-1] is S.UPDATE_ROLLBACK_COMPLETE
    assert [h.how for h in scene.cloud.history] == ["change set"] * 2 + ["continue"] * 3


def test_a_skipped_resource_lets_the_rollback_end_and_is_on_record_as_drift() -> None:
    scene = Scene()
    _stuck(scene, "continue")

    with pytest.raises(RequestRefused, match="cannot be skipped"):
        scene.stacks.continue_update_rollback(ACME, STACK, scene.token(), ("Form",))
    assert scene.continued(("Table",))[-1] is S.UPDATE_ROLLBACK_COMPLETE
    assert scene.cloud.history[-1].skipped == ("Table",)
    stack = scene.cloud.formation(ACME).find(STACK)
    assert stack is not None
    assert stack.drifted == {"Table"}


def test_only_a_stuck_rollback_is_continued_and_each_token_once() -> None:
    scene = Scene()
    with pytest.raises(StackBusy):
        scene.stacks.continue_update_rollback(ACME, STACK, scene.token(), ())
    _stuck(scene)
    token = scene.token()
    scene.stacks.continue_update_rollback(ACME, STACK, token, ())

    with pytest.raises(ExecutionTokenUsed):
        scene.stacks.continue_update_rollback(ACME, STACK, token, ())
    with pytest.raises(StackBusy):
        scene.stacks.continue_update_rollback(ACME, STACK, scene.token(), ())
    found = scene.stacks.operation(ACME, STACK, token)
    assert found is not None
    assert found.status is S.UPDATE_ROLLBACK_IN_PROGRESS


def test_a_stuck_stack_that_was_found_can_be_continued_too() -> None:
    scene = Scene()
    scene.cloud.by_hand(ACME, STACK, ONE, S.UPDATE_ROLLBACK_FAILED)

    assert list(scene.stacks.failed_resources(ACME, STACK)) == ["Form"]
    assert scene.continued()[-1] is S.UPDATE_ROLLBACK_COMPLETE
    assert scene.runs() == "intake@1.0.0"


# --- resources that outlive their stack --------------------------------------------------------------


def _with_retained_table(scene: Scene, named: bool = True) -> None:
    names = (("Table", "forms"),) if named else ()
    scene.cloud.release(scripted("2.0.0", FORM, TABLE, retained=("Table",), named=names))


def test_a_removed_resource_is_gone_and_a_retained_one_belongs_to_nobody() -> None:
    scene = Scene()
    scene.deploy(TWO, creating=True)
    scene.deploy(ONE)
    table = Physical(resource_type=TABLE[1], physical_id="table-012345670001")
    assert scene.cloud.history[-1].destroyed == (table,)
    assert table not in scene.cloud.formation(ACME).inventory

    _with_retained_table(scene, named=False)
    scene.deploy(TWO)
    scene.deploy(ONE)
    assert scene.cloud.history[-1].orphaned == (table,)
    assert scene.cloud.formation(ACME).inventory[table] == ""


def test_a_table_without_a_literal_name_is_made_anew_beside_the_orphan() -> None:
    scene = Scene()
    _with_retained_table(scene, named=False)
    for wanted in (TWO, ONE, TWO):
        scene.deploy(wanted, creating=wanted is TWO and not scene.cloud.history)

    assert scene.stacks.physical_ids(ACME, STACK, ["Table"]) == {"Table": "table-012345670001-2"}


def test_a_retained_table_with_a_literal_name_stands_in_the_way_of_its_own_release() -> None:
    scene = Scene()
    _with_retained_table(scene)
    scene.deploy(TWO, creating=True)
    scene.deploy(ONE)

    view = scene.made(scene.request(TWO))
    assert (view.status, view.execution, view.is_empty) == ("FAILED", ExecutionStatus.UNAVAILABLE, False)
    assert "ResourceExistenceCheck" in view.reason


def test_without_early_validation_the_update_fails_over_the_name_and_goes_back() -> None:
    scene = Scene(Temper(early_validation=False))
    _with_retained_table(scene)
    scene.deploy(TWO, creating=True)
    scene.deploy(ONE)

    assert scene.deploy(TWO)[-1] is S.UPDATE_ROLLBACK_COMPLETE
    assert scene.runs() == "intake@1.0.0"


def test_the_next_deploy_takes_the_retained_table_back_in() -> None:
    scene = Scene()
    _with_retained_table(scene)
    scene.deploy(TWO, creating=True)
    scene.deploy(ONE)
    request = replace(scene.request(TWO), import_existing=True)
    view = scene.made(request)

    assert [(c.logical_id, c.action, c.physical_id) for c in view.changes][-1] == ("Table", "Import", "forms")
    scene.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    assert scene.shown()[-1] is S.UPDATE_COMPLETE
    assert scene.cloud.history[-1].imported == (Physical(resource_type=TABLE[1], physical_id="forms"),)
    assert scene.stacks.physical_ids(ACME, STACK, ["Table"]) == {"Table": "forms"}


def test_a_resource_that_would_not_be_retained_is_not_imported() -> None:
    scene = Scene()
    _with_retained_table(scene)
    scene.deploy(TWO, creating=True)
    scene.deploy(ONE)
    scene.cloud.release(scripted("2.0.0", FORM, TABLE, named=(("Table", "forms"),)))

    view = scene.made(replace(scene.request(TWO), import_existing=True))
    assert view.status == "FAILED"
    assert "must have the DeletionPolicy attribute" in view.reason


def test_an_import_finds_nothing_that_is_not_there_or_belongs_to_another_stack() -> None:
    scene = Scene()
    _import(scene)
    scene.cloud.by_hand(ACME, STACK, ONE, S.UPDATE_COMPLETE)
    lost = ResourceToImport(
        logical_id="Table", resource_type=TABLE[1], identifier=(("TableName", "nothing"),)
    )

    view = scene.made(replace(scene.request(TWO), import_resources=(lost,)))
    assert (view.status, view.is_empty) == ("FAILED", False)


@pytest.mark.parametrize(
    ("wanted", "match"),
    [
        (scripted("2.0.0", FORM, TABLE, retained=("Table",)), "Outputs"),
        (replace(scripted("2.0.0", FORM, TABLE), mark=scripted("1.0.0").mark), "DeletionPolicy"),
        (
            replace(scripted("2.0.0", TABLE, retained=("Table",)), mark=scripted("1.0.0").mark),
            "other resources",
        ),
    ],
)
def test_an_import_may_change_nothing_else(wanted: ScriptedRelease, match: str) -> None:
    scene = Scene()
    scene.cloud.by_hand(ACME, STACK, ONE, S.CREATE_COMPLETE)
    scene.cloud.release(wanted)
    table = ResourceToImport(logical_id="Table", resource_type=TABLE[1], identifier=(("TableName", "forms"),))

    with pytest.raises(RequestRefused, match=match):
        scene.stacks.create_change_set(ACME, replace(scene.request(TWO), import_resources=(table,)))


# --- what is destroyed -------------------------------------------------------------------------------


def _row(action: str, replacement: str = "", policy: str = "") -> ResourceChange:
    return ResourceChange(
        logical_id="Table",
        resource_type=TABLE[1],
        action=action,
        replacement=replacement,
        policy_action=policy,
        physical_id="forms",
    )


@pytest.mark.parametrize(
    ("row", "destroyed", "orphaned"),
    [
        (_row("Modify", "False"), 0, 0),
        (_row("Modify", "True", "ReplaceAndDelete"), 1, 0),
        (_row("Modify", "Conditional"), 1, 0),
        (_row("Modify", "True", "ReplaceAndRetain"), 0, 1),
        (_row("Modify", "True", "ReplaceAndSnapshot"), 0, 1),
        (_row("Remove", policy="Delete"), 1, 0),
        (_row("Remove", policy="Retain"), 0, 1),
        (_row("SyncWithActual"), 0, 0),
        (_row("Dynamic"), 1, 0),
        (_row("Sublimate"), 1, 0),
        (_row("Import"), 0, 0),
    ],
)
def test_the_history_tells_what_a_change_set_of_any_wording_has_destroyed(
    row: ResourceChange, destroyed: int, orphaned: int
) -> None:
    scene = Scene()
    scene.cloud.release(scripted("2.0.0", FORM, TABLE, changes=(row,)))
    scene.cloud.by_hand(ACME, STACK, ONE, S.CREATE_COMPLETE)
    request = scene.request(TWO)

    assert scene.made(request).changes == (row,)
    scene.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    happened = scene.cloud.history[-1]
    assert (len(happened.destroyed), len(happened.orphaned)) == (destroyed, orphaned)


def test_a_stack_policy_makes_a_forbidden_replacement_fail_and_lets_the_rest_through() -> None:
    scene = Scene()
    scene.deploy(TWO, creating=True)
    stack = scene.cloud.formation(ACME).find(STACK)
    assert stack is not None
    stack.policy = json.dumps(
        {
            "Statement": [
                {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
                {
                    "Effect": "Deny",
                    "Action": ["Update:Replace", "Update:Delete"],
                    "Principal": "*",
                    "Resource": "*",
                    "Condition": {"StringEquals": {"ResourceType": ["AWS::DynamoDB::Table"]}},
                },
            ]
        }
    )

    request = scene.request(THREE)
    assert scene.execute(request)[-1] is S.UPDATE_ROLLBACK_COMPLETE
    assert scene.runs() == "intake@2.0.0"
    assert scene.cloud.history[-1].destroyed == ()
    scene.cloud.release(scripted("3.0.0", FORM, TABLE))
    assert scene.deploy(THREE)[-1] is S.UPDATE_COMPLETE


def test_a_protected_stack_is_not_deleted_by_anybody() -> None:
    scene = Scene()
    scene.deploy(ONE, creating=True)
    stack = scene.cloud.formation(ACME).find(STACK)
    assert stack is not None
    stack.protected = True

    with pytest.raises(RequestRefused, match="TerminationProtection"):
        scene.cloud.deleted_by_hand(ACME, STACK)
    assert scene.runs() == "intake@1.0.0"


# --- answers of several machines -----------------------------------------------------------------------


def test_within_the_lag_a_read_may_be_older_than_the_one_before_it() -> None:
    times = CloudTimes(lag=timedelta(seconds=30), update=timedelta(seconds=20), cleanup=timedelta(seconds=4))
    scene = Scene(Temper(times=times, flickers=True))
    scene.cloud.by_hand(ACME, STACK, ONE, S.UPDATE_COMPLETE)
    request = scene.request(TWO)
    scene.made(request)
    scene.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    moving: list[bool] = []
    for _ in range(90):
        found = scene.stacks.describe(ACME, STACK)
        assert found is not None
        moving.append(found.status in IN_PROGRESS)
        scene.clock.advance(timedelta(seconds=1))

    turns = sum(a != b for a, b in pairwise(moving))
    assert turns > 3
    assert not moving[-1]


def test_a_new_change_set_may_be_missing_for_a_while() -> None:
    scene = Scene(Temper(times=CloudTimes(list_lag=timedelta(seconds=5))))
    request = scene.request(ONE, creating=True)
    scene.stacks.create_change_set(ACME, request)

    assert scene.stacks.list_change_sets(ACME, STACK) == ()
    scene.clock.advance(timedelta(seconds=5))
    assert scene.stacks.list_change_sets(ACME, STACK) == (request.name,)
