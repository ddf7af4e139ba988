"""Every link of the documentation leads somewhere, every decision is listed, and the picture is readable."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, anchors, links, pages

_OUTSIDE = ("https://", "http://", "mailto:")


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _broken(page: Path, root: Path) -> list[str]:
    """Links to what does not exist, or lies outside the repository."""
    inside = [link for link in links(page.read_text(encoding="utf-8")) if not link.startswith(_OUTSIDE)]
    return [link for link in inside if not _leads_somewhere(page, link, root)]


def _leads_somewhere(page: Path, link: str, root: Path) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or not target.is_relative_to(root):
        return False
    return not anchor or anchor in anchors(target.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_every_relative_link_resolves(page: Path) -> None:
    assert _broken(page, ROOT) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "[here](#a-heading) [gone](missing.md) [wrong](#no-such) [out](../..)\n\n## A heading\n"
    page.write_text(text, encoding="utf-8")
    assert _broken(page, tmp_path) == ["missing.md", "#no-such", "../.."]


def test_every_decision_stands_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs" / "adr"
    listed = list(links((folder / "README.md").read_text(encoding="utf-8")))
    assert listed == sorted(page.name for page in folder.glob("0*.md"))


def test_the_picture_is_svg_for_light_and_dark() -> None:
    picture = (ROOT / "docs" / "line.svg").read_text(encoding="utf-8")
    assert picture.startswith("<svg ")
    assert "prefers-color-scheme: dark" in picture
    assert "<title" in picture
