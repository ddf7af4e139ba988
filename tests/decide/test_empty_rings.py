"""A ring that sizes names and nobody is in."""

from __future__ import annotations

from dataclasses import replace

from pipeline.model.policy import REST, WaveSize
from tests.decide.test_planning import FLEET, POLICY, plan_of


def test_a_ring_that_no_client_is_in_is_told_and_one_that_has_gone_first_is_not() -> None:
    sizes = (WaveSize(0, "ring", "erly"), WaveSize(0, "ring", "canary"), WaveSize(0, "ring", "erly"), REST)

    notes = plan_of(FLEET, replace(POLICY, sizes=sizes)).notes

    told = [note for note in notes if "ring:" in note]
    assert told == ["sizes asks for ring:erly, and no client of this plan is in it: it makes no wave"]
