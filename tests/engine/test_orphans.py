"""What a rollback lets go of, and how the next release takes it back in with its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.errors import ReleaseError
from pipeline.model import event as e
from pipeline.model.ending import EndingKind
from pipeline.model.ids import TargetId
from pipeline.ports import Place
from tests.engine.companies import (
    STORE,
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
from tests.simulation import Company


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def _things(company: Company, place: Place, kind: str) -> Sequence[tuple[str, bool]]:
    """(physical id, whether it belongs to a stack) of everything of this type in the account."""
    inventory = company.cloud.formation(place).inventory
    return [(p.physical_id, bool(owner)) for p, owner in inventory.items() if p.resource_type == kind]


def _tables(company: Company, place: Place) -> Sequence[tuple[str, bool]]:
    return _things(company, place, TABLE[1])


def _stores(company: Company, place: Place) -> Sequence[tuple[str, bool]]:
    return _things(company, place, STORE[1])


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


def test_a_store_without_a_literal_name_is_imported_first_and_then_the_release_follows(
    written: WrittenCompany,
) -> None:
    plan = written.plan("1.2.0")
    target, place = canary_place(plan)
    ((orphaned, _),) = _stores(written, place)

    assert written.promote(plan).kind is EndingKind.SUCCEEDED
    assert set(written.runs().values()) == {"1.2.0"}
    assert _stores(written, place) == [(orphaned, True)]
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
    assert [owned for _, owned in _stores(written, place)] == [False]


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
    assert [owned for _, owned in _stores(written, place)] == [True]
