"""Journals of earlier versions: they fold to what they folded to then, and the stories in them come to their ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.model import event as e
from tests.faults.stories import STORIES
from tests.replay.again import take_up
from tests.replay.kept import entry_from_json, folded, read_kept, stories_kept


def test_every_story_is_kept() -> None:
    assert set(stories_kept()) == {story.name.replace(" ", "-") for story in STORIES}


@pytest.mark.parametrize("name", stories_kept())
def test_a_kept_journal_folds_to_what_it_folded_to_at_every_cut(name: str) -> None:
    kept = read_kept(name)
    streams: dict[str, list[e.Envelope]] = {}
    seen = 0
    for line in kept.lines:
        if line["kind"] == "entry":
            streams.setdefault(line["stream"], []).append(entry_from_json(line))
        if line["kind"] == "cut":
            assert folded(streams) == line["folded"]
            seen += 1
    assert seen == len(kept.cuts) > 0


@pytest.mark.parametrize("name", stories_kept())
def test_a_kept_story_is_gone_on_with_to_its_end(name: str, tmp_path: Path) -> None:
    kept = read_kept(name)
    take_up(kept, kept.cuts[len(kept.cuts) // 2], tmp_path)
