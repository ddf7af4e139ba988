"""What every implementation of ports.Stacks has to do. Subclasses give the fixture `bed`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.errors import (
    ChangeSetBusy,
    ChangeSetGone,
    ExecutionTokenUsed,
    RequestRefused,
    StackBusy,
    WrongAccount,
)
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import AccountId, digest
from pipeline.model.stack import ExecutionStatus, StackStatus
from pipeline.ports import Place, ResourceToImport
from tests.contract.cloud_bed import TABLE, Bed

__all__ = ["StacksContract"]

S = StackStatus
_ELSEWHERE = "arn:aws:cloudformation:us-east-1:999999999999:stack/svc-x/5b1c7d00-0000-4000-8000-000000000001"
_LOOK = (ExecutionTokenUsed, ChangeSetBusy, ChangeSetGone)


class StacksContract:
    # --- describing ----------------------------------------------------------------------------

    def test_a_stack_that_does_not_exist_is_none_and_has_nothing(self, bed: Bed) -> None:
        stack = bed.fresh()

        assert bed.stacks.describe(bed.place, stack) is None
        assert bed.stacks.list_change_sets(bed.place, stack) == ()
        assert bed.stacks.operation(bed.place, stack, bed.token()) is None

    def test_a_stack_is_found_by_its_name_and_by_its_id(self, bed: Bed) -> None:
        name, stack_id = bed.standing("one")

        by_name, by_id = bed.stacks.describe(bed.place, name), bed.stacks.describe(bed.place, stack_id)
        assert by_name == by_id
        assert by_name is not None
        assert (by_name.stack_id, by_name.status) == (stack_id, S.CREATE_COMPLETE)

    def test_a_description_carries_parameters_and_the_mark(self, bed: Bed) -> None:
        name, _ = bed.standing("one")

        found = bed.stacks.describe(bed.place, name)
        assert found is not None
        assert found.parameters == (("Client", "acme"),)
        assert found.mark is not None
        assert found.mark.release == "contract@one"

    def test_an_id_of_another_account_is_refused_without_being_asked_for(self, bed: Bed) -> None:
        with pytest.raises(WrongAccount):
            bed.stacks.describe(bed.place, _ELSEWHERE)

    def test_the_template_that_stands_there_has_the_digest_it_was_stored_under(self, bed: Bed) -> None:
        name, _ = bed.standing("one")

        assert bed.stacks.template(bed.place, name) == bed.template("one")

    def test_the_code_of_named_functions_is_told_and_of_others_not(self, bed: Bed) -> None:
        name, _ = bed.standing("one")

        found = bed.stacks.function_digests(bed.place, name, ["Form", "Queue", "Nobody"])
        assert list(found) == ["Form"]
        assert found["Form"].startswith("sha256:")

    def test_physical_ids_are_told_of_what_is_there(self, bed: Bed) -> None:
        name, stack_id = bed.standing("one")

        found = bed.stacks.physical_ids(bed.place, name, ["Form", "Queue", "Nobody"])
        assert sorted(found) == ["Form", "Queue"]
        assert all(found.values())
        assert bed.stacks.physical_ids(bed.place, stack_id, ["Form"]) == {"Form": found["Form"]}
        assert bed.stacks.physical_ids(bed.place, name, []) == {}

    # --- making change sets --------------------------------------------------------------------

    def test_a_creation_leaves_a_stack_in_review_until_it_is_executed(self, bed: Bed) -> None:
        request = bed.request(bed.fresh(), "one", creating=True)
        stack_id = bed.make(request)

        found = bed.stacks.describe(bed.place, request.stack)
        assert found is not None
        assert (found.stack_id, found.status, found.outputs) == (stack_id, S.REVIEW_IN_PROGRESS, ())
        assert bed.stacks.list_change_sets(bed.place, request.stack) == (request.name,)

    def test_a_change_set_of_a_creation_adds_everything(self, bed: Bed) -> None:
        request = bed.request(bed.fresh(), "one", creating=True)
        view = bed.made(bed.make(request), request.name)

        assert (view.name, view.status, view.execution) == (
            request.name,
            "CREATE_COMPLETE",
            ExecutionStatus.AVAILABLE,
        )
        assert {change.action for change in view.changes} == {"Add"}
        assert {"Form", "Queue", "Mark"} <= {change.logical_id for change in view.changes}

    def test_a_change_set_of_an_update_modifies_in_place_and_names_the_real_resource(self, bed: Bed) -> None:
        name, _ = bed.standing("one")
        request = bed.request(name, "two")
        view = bed.made(bed.make(request), request.name)

        queue = next(change for change in view.changes if change.logical_id == "Queue")
        assert (queue.action, queue.replacement, queue.resource_type) == (
            "Modify",
            "False",
            "AWS::SQS::Queue",
        )
        assert queue.physical_id == bed.stacks.physical_ids(bed.place, name, ["Queue"])["Queue"]

    def test_a_change_set_is_found_by_name_and_by_arn(self, bed: Bed) -> None:
        request = bed.request(bed.fresh(), "one", creating=True)
        arn, stack_id = bed.stacks.create_change_set(bed.place, request)
        bed.made(stack_id, request.name)

        by_arn = bed.stacks.describe_change_set(bed.place, stack_id, arn)
        assert by_arn == bed.stacks.describe_change_set(bed.place, request.stack, request.name)
        assert (by_arn.arn, by_arn.stack_id) == (arn, stack_id)

    def test_a_change_set_that_changes_nothing_fails_as_empty(self, bed: Bed) -> None:
        name, _ = bed.standing("one")
        request = bed.request(name, "one")
        view = bed.made(bed.make(request), request.name)

        assert (view.is_empty, view.execution) == (True, ExecutionStatus.UNAVAILABLE)
        with pytest.raises(ChangeSetBusy):
            bed.stacks.execute_change_set(bed.place, name, request.name, request.token)
        bed.stacks.delete_change_set(bed.place, name, request.name)
        assert request.name not in bed.stacks.list_change_sets(bed.place, name)

    def test_the_same_request_with_the_same_token_is_the_same_change_set(self, bed: Bed) -> None:
        request = bed.request(bed.fresh(), "one", creating=True)

        assert bed.stacks.create_change_set(bed.place, request) == bed.stacks.create_change_set(
            bed.place, request
        )

    def test_a_name_that_is_taken_by_another_request_is_refused(self, bed: Bed) -> None:
        request = bed.request(bed.fresh(), "one", creating=True)
        bed.make(request)

        with pytest.raises(ChangeSetBusy):
            bed.stacks.create_change_set(bed.place, replace(request, token=bed.token()))

    def test_a_second_creation_in_review_is_another_change_set_of_the_same_stack(self, bed: Bed) -> None:
        first = bed.request(bed.fresh(), "one", creating=True)
        second = bed.request(first.stack, "two", creating=True)

        assert bed.make(first) == bed.make(second)
        assert sorted(bed.stacks.list_change_sets(bed.place, first.stack)) == sorted(
            [first.name, second.name]
        )

    def test_an_update_of_nothing_and_a_creation_of_something_find_the_stack_not_as_seen(
        self, bed: Bed
    ) -> None:
        name, _ = bed.standing("one")

        with pytest.raises(StackBusy):
            bed.stacks.create_change_set(bed.place, bed.request(bed.fresh(), "one"))
        with pytest.raises(StackBusy):
            bed.stacks.create_change_set(bed.place, bed.request(name, "two", creating=True))

    def test_a_template_that_was_never_stored_is_refused(self, bed: Bed) -> None:
        request = bed.request(bed.fresh(), "one", creating=True)
        nowhere = replace(request, template=digest(sha256_hex(b"never stored")))

        with pytest.raises(RequestRefused):
            bed.stacks.create_change_set(bed.place, nowhere)
        assert bed.stacks.describe(bed.place, request.stack) is None

    # --- deleting change sets --------------------------------------------------------------------

    def test_deleting_a_change_set_twice_is_deleting_it(self, bed: Bed) -> None:
        request = bed.request(bed.fresh(), "one", creating=True)
        stack_id = bed.make(request)

        for _ in range(2):
            bed.stacks.delete_change_set(bed.place, stack_id, request.name)
        with pytest.raises(ChangeSetGone):
            bed.stacks.describe_change_set(bed.place, stack_id, request.name)
        left = bed.stacks.describe(bed.place, request.stack)
        assert left is not None
        assert left.status is S.REVIEW_IN_PROGRESS

    def test_a_change_set_of_a_stack_that_is_not_there_is_gone(self, bed: Bed) -> None:
        stack = bed.fresh()

        bed.stacks.delete_change_set(bed.place, stack, "tg-1")
        with pytest.raises(ChangeSetGone):
            bed.stacks.describe_change_set(bed.place, stack, "tg-1")
        with pytest.raises(ChangeSetGone):
            bed.stacks.execute_change_set(bed.place, stack, "tg-1", bed.token())

    # --- executing -----------------------------------------------------------------------------

    def test_an_update_ends_complete_with_the_new_mark(self, bed: Bed) -> None:
        name, stack_id = bed.standing("one", "two")

        found = bed.stacks.describe(bed.place, name)
        assert found is not None
        assert found.mark is not None
        assert (found.stack_id, found.status, found.mark.release) == (
            stack_id,
            S.UPDATE_COMPLETE,
            "contract@two",
        )
        assert bed.stacks.template(bed.place, name) == bed.template("two")

    def test_an_operation_is_found_by_its_token_and_keeps_its_ending(self, bed: Bed) -> None:
        name, stack_id = bed.standing("one")
        _, token, _ = bed.deploy(name, "two")
        bed.deploy(name, "three")

        found = bed.stacks.operation(bed.place, stack_id, token)
        assert found is not None
        assert (found.status, found.last_token, found.stack_id) == (S.UPDATE_COMPLETE, token, stack_id)
        assert bed.stacks.operation(bed.place, stack_id, bed.token()) is None

    def test_a_failed_creation_clears_itself_and_is_found_by_its_id_only(self, bed: Bed) -> None:
        name = bed.fresh()
        stack_id, token, status = bed.deploy(name, "sick", creating=True)

        assert status is S.DELETE_COMPLETE
        assert bed.stacks.describe(bed.place, name) is None
        found = bed.stacks.operation(bed.place, stack_id, token)
        assert found is not None
        assert found.status is S.DELETE_COMPLETE

    def test_the_events_of_a_deleted_stack_are_not_to_be_had_by_its_name(self, bed: Bed) -> None:
        bed.needs("deleted by id only")
        name = bed.fresh()
        _, token, _ = bed.deploy(name, "sick", creating=True)

        assert bed.stacks.operation(bed.place, name, token) is None

    def test_a_failed_update_goes_back_by_itself_and_tells_why(self, bed: Bed) -> None:
        name, stack_id = bed.standing("one")
        _, token, status = bed.deploy(name, "sick")

        assert status is S.UPDATE_ROLLBACK_COMPLETE
        found = bed.stacks.operation(bed.place, stack_id, token)
        assert found is not None
        assert (found.status, bool(found.reason)) == (S.UPDATE_ROLLBACK_COMPLETE, True)
        left = bed.stacks.describe(bed.place, name)
        assert left is not None
        assert left.mark is not None
        assert left.mark.release == "contract@one"
        assert bed.stacks.template(bed.place, name) == bed.template("one")

    def test_a_stack_that_went_back_can_be_updated_again(self, bed: Bed) -> None:
        name, _ = bed.standing("one", "sick")

        assert bed.deploy(name, "two")[2] is S.UPDATE_COMPLETE

    def test_the_same_execution_asked_for_again_means_look(self, bed: Bed) -> None:
        name, _ = bed.standing("one")
        request = bed.request(name, "two")
        bed.make(request)
        bed.stacks.execute_change_set(bed.place, name, request.name, request.token)

        with pytest.raises((*_LOOK, StackBusy)):
            bed.stacks.execute_change_set(bed.place, name, request.name, request.token)
        bed.settled(name)
        with pytest.raises(_LOOK):
            bed.stacks.execute_change_set(bed.place, name, request.name, request.token)

    def test_an_execution_makes_every_other_change_set_useless(self, bed: Bed) -> None:
        name, _ = bed.standing("one")
        late = bed.request(name, "two")
        bed.make(late)
        bed.deploy(name, "three")

        with pytest.raises((ChangeSetGone, ChangeSetBusy)):
            bed.stacks.execute_change_set(bed.place, name, late.name, late.token)
        found = bed.stacks.describe(bed.place, name)
        assert found is not None
        assert found.mark is not None
        assert found.mark.release == "contract@three"

    # --- what keeps a rollback from its end ------------------------------------------------------

    def test_a_stack_that_is_well_has_no_failed_resources_and_nothing_to_continue(self, bed: Bed) -> None:
        name, _ = bed.standing("one")

        assert bed.stacks.failed_resources(bed.place, name) == {}
        with pytest.raises(StackBusy):
            bed.stacks.continue_update_rollback(bed.place, name, bed.token(), ())

    def test_a_rollback_that_fails_leaves_the_stack_stuck_and_names_what_holds_it(self, bed: Bed) -> None:
        bed.needs("stuck")
        bed.break_again()
        name, _ = bed.standing("stuck-one", "stuck")

        assert bed.settled(name).status is S.UPDATE_ROLLBACK_FAILED
        failed = bed.stacks.failed_resources(bed.place, name)
        assert list(failed) == ["Switch"]
        assert failed["Switch"]
        with pytest.raises(StackBusy):
            bed.stacks.create_change_set(bed.place, bed.request(name, "two"))

    def test_a_rollback_is_continued_once_its_cause_has_gone(self, bed: Bed) -> None:
        bed.needs("stuck")
        bed.break_again()
        name, stack_id = bed.standing("stuck-one", "stuck")
        assert bed.continued(name)[1] is S.UPDATE_ROLLBACK_FAILED
        bed.mend()
        token, status = bed.continued(name)

        assert status is S.UPDATE_ROLLBACK_COMPLETE
        found = bed.stacks.operation(bed.place, stack_id, token)
        assert found is not None
        assert (found.status, found.last_token) == (S.UPDATE_ROLLBACK_COMPLETE, token)
        assert bed.stacks.failed_resources(bed.place, name) == {}

    def test_a_named_resource_may_be_skipped_and_no_other(self, bed: Bed) -> None:
        bed.needs("stuck")
        bed.break_again()
        name, _ = bed.standing("stuck-one", "stuck")

        with pytest.raises(RequestRefused):
            bed.stacks.continue_update_rollback(bed.place, name, bed.token(), ("Mark",))
        assert bed.continued(name, ("Switch",))[1] is S.UPDATE_ROLLBACK_COMPLETE

    def test_a_continuation_with_a_token_that_was_used_means_look(self, bed: Bed) -> None:
        bed.needs("stuck")
        bed.break_again()
        name, _ = bed.standing("stuck-one", "stuck")
        token, _ = bed.continued(name)

        with pytest.raises(ExecutionTokenUsed):
            bed.stacks.continue_update_rollback(bed.place, name, token, ())

    # --- resources that come back ----------------------------------------------------------------

    def test_a_retained_table_outlives_its_leaving_the_stack_and_comes_back_with_its_id(
        self, bed: Bed
    ) -> None:
        """One case, because the literal name can be there only once."""
        bed.needs("import existing")
        name, _ = bed.standing("two", "table")
        assert bed.stacks.physical_ids(bed.place, name, ["Table"]) == {"Table": TABLE}
        bed.deploy(name, "two")
        assert bed.stacks.physical_ids(bed.place, name, ["Table"]) == {}

        request = replace(bed.request(name, "table"), import_existing=True)
        view = bed.made(bed.make(request), request.name)
        back = next(change for change in view.changes if change.logical_id == "Table")
        assert (back.action, back.physical_id) == ("Import", TABLE)
        bed.stacks.execute_change_set(bed.place, name, request.name, request.token)
        assert bed.settled(name).status is S.UPDATE_COMPLETE
        assert bed.stacks.physical_ids(bed.place, name, ["Table"]) == {"Table": TABLE}

    def test_an_import_takes_in_what_it_names_and_nothing_else(self, bed: Bed) -> None:
        bed.needs("import")
        name, _ = bed.standing("one")
        found = bed.orphan(name)
        wanted = ResourceToImport(
            logical_id="Old", resource_type="AWS::SQS::Queue", identifier=(("QueueUrl", found),)
        )
        other = replace(bed.request(name, "two"), import_resources=(wanted,))
        with pytest.raises(RequestRefused):
            bed.stacks.create_change_set(bed.place, other)
        request = replace(bed.request(name, "import"), import_resources=(wanted,))
        view = bed.made(bed.make(request), request.name)

        assert [(c.logical_id, c.action, c.physical_id) for c in view.changes] == [("Old", "Import", found)]
        bed.stacks.execute_change_set(bed.place, name, request.name, request.token)
        assert bed.settled(name).status is S.IMPORT_COMPLETE
        taken_in = bed.stacks.physical_ids(bed.place, name, ["Old"])["Old"]
        # A queue's URL may be written with another host name of the same endpoint.
        assert taken_in.split("/")[-2:] == found.split("/")[-2:]
        assert bed.deploy(name, "two")[2] is S.UPDATE_COMPLETE

    # --- where it goes -----------------------------------------------------------------------------

    def test_a_place_without_an_account_of_ours_is_refused(self, bed: Bed) -> None:
        bed.needs("accounts")
        from pipeline.errors import AccountUnusable

        with pytest.raises(AccountUnusable):
            bed.stacks.describe(Place(AccountId("999999999999"), bed.place.region), "svc-x")
