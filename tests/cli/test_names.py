"""What a name that was left out stands for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pipeline.cli.names import newest_release
from pipeline.model.ids import ReleaseName
from stages.pause import pause
from stages.promote import Admission, admit
from tests.simulation import SERVICE, Company

WHO = Admission(fence=50, actor="ann")


def built_later(company: Company, version: str) -> None:
    company.clock.advance(timedelta(minutes=1))
    company.build(version)


def test_the_test_of_the_next_release_does_not_hide_the_one_that_waits_for_somebody(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    admit(plan, company.journal, company.clock, WHO)
    pause(plan, "the fair", "ann", company.journal, company.latch, company.clock)

    built_later(company, "1.1.0")

    assert newest_release(company.journal) == ReleaseName(SERVICE, "1.0.0")


def test_where_nothing_is_under_way_the_newest_release_is_meant(tmp_path: Path) -> None:
    company = Company(tmp_path)
    assert newest_release(company.journal) is None

    built_later(company, "1.1.0")
    built_later(company, "1.0.0")

    assert newest_release(company.journal) == ReleaseName(SERVICE, "1.0.0")
    assert newest_release(company.journal, "notify") is None
