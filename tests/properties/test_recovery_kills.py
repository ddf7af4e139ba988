"""The runner dies while a stuck rollback is continued, or while something is taken back in, and nothing is done twice.

Normally a sample spread over each story; with the marker `sweep` every boundary.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline.adapters.simulated.faults import KillSwitch, Moment
from pipeline.model.ending import EndingKind
from pipeline.ports import Place
from stages.rollback import RollbackScope
from tests.engine.companies import (
    TABLE,
    WrittenCompany,
    breaks,
    canary_place,
    open_change_sets,
    released,
    state_of,
)
from tests.properties.killing import MILD, Mortal, boundaries
from tests.simulation import a_fleet

SAMPLE = 10
FLEET = a_fleet(clients=1)


class MortalWritten(WrittenCompany, Mortal):
    """Mortal, and with templates that can be read."""


def continued(company: MortalWritten) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    target, place = canary_place(plan)
    breaks(company, "1.1.0", place, "deploy", "rollback")
    company.armed = True
    assert company.promote(plan).kind is EndingKind.ROLLED_BACK

    assert company.runs() == {str(target): "1.0.0"}
    hows = [h.how for h in company.cloud.history if h.place == place]
    assert hows == ["change set", "change set", "continue"]
    assert state_of(company, target).phase.value == "ROLLED_BACK"


def taken_back(company: MortalWritten) -> None:
    """A release adds a table and is healthy; it is recalled; the next one has that table again."""
    released(company, "1.0.0")
    company.bridges("1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    target, place = canary_place(plan)
    company.armed = True
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    ((table, _),) = _tables(company, place)
    assert company.rollback(plan, RollbackScope(all=True)).kind is EndingKind.ROLLED_BACK
    assert company.runs() == {str(target): "1.0.0"}
    assert _tables(company, place) == [(table, False)]
    assert [orphan.physical_id for orphan in state_of(company, target).orphans] == [table]

    company.build("1.1.1")
    assert company.promote(company.plan("1.1.1")).kind is EndingKind.SUCCEEDED
    assert company.runs() == {str(target): "1.1.1"}
    assert _tables(company, place) == [(table, True)]
    assert len([h for h in company.cloud.history if h.imported]) == 1
    assert state_of(company, target).orphans == ()
    company.assert_deployed_once("1.1.0")
    company.assert_deployed_once("1.1.1")


def taken_back_by_name(company: MortalWritten) -> None:
    company.literal = "notes"
    taken_back(company)


def _tables(company: MortalWritten, place: Place) -> list[tuple[str, bool]]:
    """(physical id, whether it belongs to a stack)"""
    inventory = company.cloud.formation(place).inventory
    return [(p.physical_id, bool(owner)) for p, owner in inventory.items() if p.resource_type == TABLE[1]]


STORIES: dict[str, Callable[[MortalWritten], None]] = {
    "continued": continued,
    "taken back": taken_back,
    "taken back by name": taken_back_by_name,
}


def tell(name: str, tmp: Path, boundary: int | None, moment: Moment) -> MortalWritten:
    company = MortalWritten(tmp, KillSwitch(boundary, moment), MILD, FLEET)
    STORIES[name](company)
    company.assert_sound()
    assert open_change_sets(company) == []
    return company


@cache
def _boundaries(name: str) -> tuple[int, ...]:
    with TemporaryDirectory() as folder:
        return boundaries(tell(name, Path(folder), None, Moment.BEFORE).switch.seen)


def _die_at(name: str, chosen: tuple[int, ...], moment: Moment, tmp: Path) -> None:
    for boundary in chosen:
        folder = tmp / str(boundary)
        folder.mkdir()
        tell(name, folder, boundary, moment)


@pytest.mark.parametrize("moment", Moment, ids=lambda moment: moment.name.lower())
@pytest.mark.parametrize("name", STORIES)
def test_recovery_survives_deaths_spread_over_it(name: str, moment: Moment, tmp_path: Path) -> None:
    every = _boundaries(name)
    stride = max(1, len(every) // SAMPLE)
    offset = list(Moment).index(moment) * stride // len(Moment)

    _die_at(name, every[offset::stride], moment, tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize("moment", Moment, ids=lambda moment: moment.name.lower())
@pytest.mark.parametrize("name", STORIES)
def test_recovery_survives_a_death_at_every_boundary(name: str, moment: Moment, tmp_path: Path) -> None:
    _die_at(name, _boundaries(name), moment, tmp_path)
