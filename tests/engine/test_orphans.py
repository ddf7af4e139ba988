"""What a rollback lets go of, and how the next release takes it back in with its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.errors import ReleaseError
from pipeline.model import event as e
from pipeline.model.ending import EndingKind
from pipeline.model.ids import TargetId
from pipeline.model.policy import OnFail
from pipeline.ports import Place
from pipeline.views.plan import plan_text
from stages.rollback import RollbackScope
from tests.engine.companies import (
    STACK,
    TABLE,
    WrittenCompany,
    append,
    breaks,
    canary_place,
    open_change_sets,
    released,
    state_of,
    with_table,
)
from tests.simulation import SERVICE, Company


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def _tables(company: Company, place: Place) -> Sequence[tuple[str, bool]]:
    """(physical id, whether it belongs to a stack) of every table in the account."""
    inventory = company.cloud.formation(place).inventory
    return [(p.physical_id, bool(owner)) for p, owner in inventory.items() if p.resource_type == TABLE[1]]


def rolled_back_table(company: Company) -> tuple[TargetId, Place]:
    """1.0.0 is good everywhere; 1.1.0 added a table at the canary and was rolled back for an alarm."""
    released(company, "1.0.0")
    with_table(company, "1.1.0")
    plan = company.plan("1.1.0")
    target, place = canary_place(plan)
    breaks(company, "1.1.0", place, "alarm")
    assert company.promote(plan).kind is EndingKind.ROLLED_BACK
    assert company.runs()[str(target)] == "1.0.0"
    return target, place


def test_a_rollback_lets_go_of_the_table_that_its_release_had_added_and_remembers_it(
    company: Company,
) -> None:
    target, place = rolled_back_table(company)

    assert _tables(company, place) == [("notes", False)]
    orphan = e.Orphan(logical_id=TABLE[0], resource_type=TABLE[1], physical_id="notes")
    assert state_of(company, target).orphans == (orphan,)


def test_the_next_release_takes_the_table_back_in_with_its_data(company: Company) -> None:
    target, place = rolled_back_table(company)
    with_table(company, "1.2.0")
    plan = company.plan("1.2.0")

    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert set(company.runs().values()) == {"1.2.0"}
    assert _tables(company, place) == [("notes", True)]
    assert state_of(company, target).orphans == ()
    (imported,) = [h.imported for h in company.cloud.history if h.imported]
    assert [p.physical_id for p in imported] == ["notes"]


def test_where_the_name_is_taken_a_deployment_without_import_fails(company: Company) -> None:
    """What the engine is up against: a stack cannot make what stands in the account already."""
    target, place = rolled_back_table(company)
    with_table(company, "1.2.0")
    append(company, target, e.OrphansTaken(logical_ids=(TABLE[0],)))

    with pytest.raises(ReleaseError):
        company.promote(company.plan("1.2.0"))
    assert _tables(company, place) == [("notes", False)]


# --- orphans without a literal name --------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> WrittenCompany:
    company = WrittenCompany(tmp_path)
    released(company, "1.0.0")
    company.bridges("1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    _, place = canary_place(plan)
    breaks(company, "1.1.0", place, "alarm")
    assert company.promote(plan).kind is EndingKind.ROLLED_BACK
    company.build("1.2.0")
    return company


def test_a_table_without_a_literal_name_is_imported_first_and_then_the_release_follows(
    written: WrittenCompany,
) -> None:
    plan = written.plan("1.2.0")
    target, place = canary_place(plan)
    ((orphaned, _),) = _tables(written, place)

    assert written.promote(plan).kind is EndingKind.SUCCEEDED
    assert set(written.runs().values()) == {"1.2.0"}
    assert _tables(written, place) == [(orphaned, True)]
    assert state_of(written, target).orphans == ()
    last = [h for h in written.cloud.history if h.place == place][-2:]
    assert [(h.outcome.value, [p.physical_id for p in h.imported]) for h in last] == [
        ("IMPORT_COMPLETE", [orphaned]),
        ("UPDATE_COMPLETE", []),
    ]
    assert open_change_sets(written) == []


def test_what_an_import_brought_back_is_let_go_again_when_the_release_is_rolled_back(
    written: WrittenCompany,
) -> None:
    plan = written.plan("1.2.0")
    target, place = canary_place(plan)
    before = state_of(written, target).orphans
    breaks(written, "1.2.0", place, "alarm")

    assert written.promote(plan).kind is EndingKind.ROLLED_BACK
    assert set(written.runs().values()) == {"1.0.0"}
    assert state_of(written, target).orphans == before
    assert [owned for _, owned in _tables(written, place)] == [False]


@pytest.mark.parametrize("call", ["create_change_set", "describe_change_set", "execute_change_set"])
@pytest.mark.parametrize("kind", [FaultKind.LOST_APPLIED, FaultKind.LOST_NOT_APPLIED])
def test_an_import_whose_answers_are_lost_happens_once(
    written: WrittenCompany, kind: FaultKind, call: str
) -> None:
    plan = written.plan("1.2.0")
    _, place = canary_place(plan)
    for nth in (1, 3, 4):
        written.cloud.fault(Fault(kind=kind, call=call, account=place.account, nth=nth))

    assert written.promote(plan).kind is EndingKind.SUCCEEDED
    assert set(written.runs().values()) == {"1.2.0"}
    assert len([h for h in written.cloud.history if h.imported]) == 1
    assert [owned for _, owned in _tables(written, place)] == [True]


# --- the whole story: healthy everywhere, recalled, and back again --------------------------------


@pytest.fixture(params=["", "notes"], ids=["a name made up", "a literal name"])
def recalled(tmp_path: Path, request: pytest.FixtureRequest) -> WrittenCompany:
    """1.1.0 added a table to every client, was healthy there, and was taken back from everybody."""
    company = WrittenCompany(tmp_path)
    company.literal = request.param
    released(company, "1.0.0")
    company.bridges("1.0.0")
    plan = released(company, "1.1.0")
    tables = _everywhere(company)
    assert {owned for found in tables.values() for _, owned in found} == {True}

    assert company.rollback(plan, RollbackScope(all=True)).kind is EndingKind.ROLLED_BACK
    assert set(company.runs().values()) == {"1.0.0"}
    assert _everywhere(company) == {t: [(name, False) for name, _ in found] for t, found in tables.items()}
    for target, [(physical, _)] in tables.items():
        orphan = e.Orphan(logical_id=TABLE[0], resource_type=TABLE[1], physical_id=physical)
        assert state_of(company, target).orphans == (orphan,)
    return company


def _everywhere(company: Company) -> dict[TargetId, Sequence[tuple[str, bool]]]:
    return {
        TargetId(client.name, region): _tables(company, Place(client.account, region))
        for client in company.fleet.clients
        for region in client.regions
        if client.account is not None
    }


def _owned(tables: dict[TargetId, Sequence[tuple[str, bool]]]) -> dict[TargetId, Sequence[tuple[str, bool]]]:
    return {target: [(name, True) for name, _ in found] for target, found in tables.items()}


def test_a_release_that_added_a_table_can_be_recalled_although_its_stacks_are_protected(
    recalled: WrittenCompany,
) -> None:
    for target in _everywhere(recalled):
        entries = recalled.journal.read(e.target_stream(SERVICE, target))
        protected = [entry.event for entry in entries if isinstance(entry.event, e.TargetProtected)]
        assert [event.spared for event in protected] == [(), (TABLE[0],)]


def test_the_next_release_takes_every_recalled_table_back_in(recalled: WrittenCompany) -> None:
    before = _everywhere(recalled)
    recalled.build("1.1.1")
    plan = recalled.plan("1.1.1")
    rows = {row for group in plan.groups for row in group.changes if TABLE[0] in row}
    assert rows == {f"Import Notes ({TABLE[1]})"}
    assert f"Import Notes ({TABLE[1]})" in plan_text(plan)

    assert recalled.promote(plan).kind is EndingKind.SUCCEEDED
    assert set(recalled.runs().values()) == {"1.1.1"}
    assert _everywhere(recalled) == _owned(before)
    assert {state_of(recalled, target).orphans for target in before} == {()}
    imports = [h.place for h in recalled.cloud.history if h.imported]
    assert sorted(imports, key=str) == sorted(
        {h.place for h in recalled.cloud.history if h.imported}, key=str
    )
    assert open_change_sets(recalled) == []


def test_a_table_taken_back_in_is_let_go_and_taken_back_as_often_as_its_release_is_recalled(
    recalled: WrittenCompany,
) -> None:
    before = _everywhere(recalled)
    plan = released(recalled, "1.1.1")
    recalled.rollback(plan, RollbackScope(all=True))
    assert _everywhere(recalled) == before

    released(recalled, "1.2.0")
    assert _everywhere(recalled) == _owned(before)


def test_once_a_later_release_keeps_the_table_the_stack_policy_keeps_it_too(recalled: WrittenCompany) -> None:
    released(recalled, "1.1.1")
    released(recalled, "1.2.0")
    for target in _everywhere(recalled):
        assert state_of(recalled, target).spared == ()
        account = next(c.account for c in recalled.fleet.clients if c.name == target.owner)
        assert account is not None
        stack = recalled.cloud.formation(Place(account, target.region)).find(STACK)
        assert stack is not None
        assert f"LogicalResourceId/{TABLE[0]}" in stack.policy


def test_a_retry_after_the_import_does_what_the_plan_says(recalled: WrittenCompany) -> None:
    """The update that follows the import fails, and the table is in the stack by then."""
    before = _everywhere(recalled)
    recalled.policy = replace(recalled.policy, on_fail=replace(recalled.policy.on_fail, canary=OnFail.HOLD))
    recalled.build("1.1.1")
    plan = recalled.plan("1.1.1")
    target, place = canary_place(plan)
    breaks(recalled, "1.1.1", place, "deploy")
    assert recalled.promote(plan).kind is EndingKind.HALTED
    assert state_of(recalled, target).phase.value == "FAILED"

    recalled.cloud.mends(recalled.client_template("1.1.1"))
    append(recalled, target, e.TargetRetried(reason="the quota was raised"))
    recalled.resume(plan)
    assert recalled.promote(plan).kind is EndingKind.SUCCEEDED
    assert _everywhere(recalled) == _owned(before)
