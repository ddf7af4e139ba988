"""The runner dies at a boundary, the same command is typed again, and every story ends as if nothing had been.

Normally a sample spread over each story; with the marker `sweep` every boundary, in twenty-four slices of which
`scripts/sweep` runs all and `.ci/run` one, another for each commit.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline.adapters.simulated.cloud import Temper
from pipeline.adapters.simulated.faults import Moment
from pipeline.adapters.simulated.stack import CloudTimes
from tests.properties.killing import STORIES, boundaries, tell

SAMPLE = 3
SLICES = 24
LAGGING = Temper(seed=3, times=CloudTimes(lag=timedelta(seconds=5)), honours_client_token=False)


@cache
def _boundaries(name: str, temper: Temper) -> tuple[int, ...]:
    with TemporaryDirectory() as folder:
        company = tell(STORIES[name], Path(folder), None, Moment.BEFORE, temper)
    return boundaries(company.switch.seen)


def _die_at(name: str, chosen: tuple[int, ...], moment: Moment, temper: Temper, tmp: Path) -> None:
    for boundary in chosen:
        folder = tmp / str(boundary)
        folder.mkdir()
        tell(STORIES[name], folder, boundary, moment, temper)


@pytest.mark.parametrize("moment", Moment, ids=lambda moment: moment.name.lower())
@pytest.mark.parametrize("name", STORIES)
def test_a_story_survives_deaths_spread_over_it(name: str, moment: Moment, tmp_path: Path) -> None:
    every = _boundaries(name, Temper())
    stride = max(1, len(every) // SAMPLE)
    offset = list(Moment).index(moment) * stride // len(Moment)

    _die_at(name, every[offset::stride], moment, Temper(), tmp_path)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_survives_deaths_where_descriptions_lag(name: str, tmp_path: Path) -> None:
    every = _boundaries(name, LAGGING)
    stride = max(1, len(every) // SAMPLE)

    _die_at(name, every[stride // 2 :: stride], Moment.APPLIED, LAGGING, tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(SLICES), ids=lambda part: f"slice{part:02d}")
@pytest.mark.parametrize("moment", Moment, ids=lambda moment: moment.name.lower())
@pytest.mark.parametrize("name", STORIES)
def test_a_story_survives_a_death_at_every_boundary(
    name: str, moment: Moment, part: int, tmp_path: Path
) -> None:
    _die_at(name, _boundaries(name, Temper())[part::SLICES], moment, Temper(), tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(SLICES), ids=lambda part: f"slice{part:02d}")
@pytest.mark.parametrize("name", STORIES)
def test_a_story_survives_a_death_at_every_boundary_where_descriptions_lag(
    name: str, part: int, tmp_path: Path
) -> None:
    _die_at(name, _boundaries(name, LAGGING)[part::SLICES], Moment.APPLIED, LAGGING, tmp_path)
