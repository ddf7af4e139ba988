"""The matrix bites: bugs that are planted in a copy of the sources are caught by the family that has to.

A few of them here; `scripts/faults` plants all, and fails where one gets away.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.bugs import BUGS, Bug, Edit
from tests.faults.families import FAMILIES
from tests.faults.seeded import ROOT, hunt, plant

QUICKLY_CAUGHT = (
    "a bake that is a second too short",
    "INSUFFICIENT_DATA taken for OK",
    "the fence is read before the change set exists, and not again",
    "a canary that goes all at once",
)


def _marked(bug: Bug) -> object:
    marks = () if bug.name in QUICKLY_CAUGHT else (pytest.mark.sweep,)
    return pytest.param(bug, id=bug.name, marks=marks)


@pytest.mark.parametrize("bug", [_marked(bug) for bug in BUGS])
def test_a_planted_bug_is_caught(bug: Bug) -> None:
    found = hunt(bug)
    assert found.caught, found.how


def test_at_least_a_dozen_bugs_are_planted_each_for_a_family_there_is() -> None:
    assert len(BUGS) >= 12
    assert {bug.family for bug in BUGS} <= {family.letter for family in FAMILIES}
    assert set(QUICKLY_CAUGHT) <= {bug.name for bug in BUGS}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_snippet_still_stands_in_the_source(bug: Bug) -> None:
    for edit in bug.edits:
        assert (ROOT / edit.path).read_text(encoding="utf-8").count(edit.original) == 1, edit.path


def test_a_snippet_that_has_gone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("value = 2\n", encoding="utf-8")
    with pytest.raises(LookupError, match=r"code\.py has 0 times, not once"):
        plant((Edit("code.py", "value = 1", "value = 3"),), tmp_path)
