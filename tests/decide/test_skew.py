"""How far clients lag, counted in releases that proved themselves; and which pins and freezes are over."""

from __future__ import annotations

import pytest

from pipeline.decide.skew import Known, behind, skew_of
from pipeline.model.plan import TargetSkew
from tests.decide.runs import t

KNOWN = (
    Known("intake@1.0.0", baked=True),
    Known("intake@1.1.0", baked=False),
    Known("intake@1.2.0", baked=True),
    Known("intake@1.0.1", baked=True),
    Known("intake@1.3.0", baked=False),
)
"""1.0.1 mended the first one, and was built after 1.2.0."""


@pytest.mark.parametrize(
    ("running", "lag"),
    [
        ("intake@1.0.0", 2),
        ("intake@1.1.0", 2),
        ("intake@1.2.0", 1),
        ("intake@1.0.1", 0),
        ("intake@1.3.0", 0),
        ("intake@0.9.0", 0),
        ("", 0),
    ],
)
def test_only_releases_that_baked_and_were_built_later_count(running: str, lag: int) -> None:
    assert behind(running, KNOWN) == lag


def test_the_one_furthest_behind_is_told_first_and_who_does_not_lag_not_at_all() -> None:
    running = {
        t("acme"): "intake@1.2.0",
        t("birch"): "intake@1.0.0",
        t("cedar"): "intake@1.0.1",
        t("elm"): "",
    }

    assert skew_of(running, KNOWN) == (
        TargetSkew(id=t("birch"), running="intake@1.0.0", behind=2),
        TargetSkew(id=t("acme"), running="intake@1.2.0", behind=1),
    )
