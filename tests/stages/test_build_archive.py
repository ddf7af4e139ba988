"""Zips: what they depend on, what they refuse, and that they come back as they went in."""

from __future__ import annotations

import io
import os
import stat
import time
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ArtifactDamaged, BuildFailed
from stages.packaging.archive import Packed, members_of_folder, pack_file, pack_members, unpack

_NAMES = st.text(st.sampled_from("abcxyz0_-.é"), min_size=1, max_size=6).filter(lambda n: n.strip("."))
TREES = st.dictionaries(
    st.lists(_NAMES.map(lambda name: f"{name}~"), min_size=0, max_size=2).flatmap(
        lambda folders: _NAMES.map(lambda name: "/".join([*folders, name]))
    ),
    st.tuples(st.binary(max_size=300), st.booleans()),
    min_size=1,
    max_size=6,
)
"""path -> (bytes, executable). Folders end in ~, so that none is a file as well."""


def packed(folder: Path) -> Packed:
    return pack_members(members_of_folder(folder))


@contextmanager
def the_umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def planted(
    folder: Path, tree: dict[str, tuple[bytes, bool]], *, order: list[str], mask: int, at: float
) -> Path:
    with the_umask(mask):
        for name in order:
            content, executable = tree[name]
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o777 if executable else 0o666)
            path.write_bytes(content)
            os.utime(path, (at, at))
    return folder


@settings(max_examples=60, deadline=None)
@given(st.data(), TREES)
def test_the_digest_depends_on_names_bytes_and_the_executable_bit_alone(
    data: st.DataObject, tree: dict[str, tuple[bytes, bool]]
) -> None:
    found = []
    for _ in range(2):
        order = data.draw(st.permutations(sorted(tree)))
        mask = data.draw(st.sampled_from([0o000, 0o002, 0o022, 0o027, 0o077]))
        at = data.draw(st.integers(0, 4_000_000_000))
        with TemporaryDirectory() as folder:
            found.append(packed(planted(Path(folder), tree, order=order, mask=mask, at=at)))
    assert found[0].content == found[1].content
    assert found[0].digest == found[1].digest
    assert found[0].content_digest == found[1].content_digest


@settings(max_examples=40, deadline=None)
@given(TREES)
def test_what_was_packed_comes_back_as_it_was(tree: dict[str, tuple[bytes, bool]]) -> None:
    with TemporaryDirectory() as folder:
        source = planted(Path(folder) / "in", tree, order=sorted(tree), mask=0o022, at=1.0)
        first = packed(source)
        unpack(first.content, Path(folder) / "out")
        back = {
            path.relative_to(Path(folder) / "out").as_posix(): (
                path.read_bytes(),
                bool(path.stat().st_mode & stat.S_IXUSR),
            )
            for path in (Path(folder) / "out").rglob("*")
            if path.is_file()
        }
        assert back == tree
        assert packed(Path(folder) / "out").digest == first.digest


@pytest.mark.parametrize("change", ["bytes", "name", "executable", "one more file"])
def test_any_true_change_changes_the_digest(tmp_path: Path, change: str) -> None:
    (tmp_path / "app.py").write_text("x = 1\n")
    before = packed(tmp_path)
    match change:
        case "bytes":
            (tmp_path / "app.py").write_text("x = 2\n")
        case "name":
            (tmp_path / "app.py").rename(tmp_path / "main.py")
        case "executable":
            (tmp_path / "app.py").chmod(0o755)
        case _:
            (tmp_path / "more.py").write_text("")
    assert packed(tmp_path).digest != before.digest


def test_entries_are_sorted_dated_1980_and_carry_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "b" / "run.sh").chmod(0o700)
    (tmp_path / "a.py").write_text("")
    with zipfile.ZipFile(io.BytesIO(packed(tmp_path).content)) as archive:
        rows = [
            (e.filename, e.date_time, oct(e.external_attr >> 16), e.extra, e.comment, e.create_system)
            for e in archive.infolist()
        ]
    assert rows == [
        ("a.py", (1980, 1, 1, 0, 0, 0), "0o100644", b"", b"", 3),
        ("b/run.sh", (1980, 1, 1, 0, 0, 0), "0o100755", b"", b"", 3),
    ]


def test_what_changes_without_the_sources_changing_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x = 1\n")
    before = packed(tmp_path).digest
    for name in (
        "__pycache__/app.cpython-311.pyc",
        ".git/HEAD",
        ".DS_Store",
        "sub/.DS_Store",
        ".tidegate/state.db",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(str(time.time()))
    assert packed(tmp_path).digest == before


def test_a_link_to_a_file_inside_is_packed_as_that_file(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x = 1\n")
    (tmp_path / "same.py").symlink_to("app.py")
    with zipfile.ZipFile(io.BytesIO(packed(tmp_path).content)) as archive:
        assert archive.read("same.py") == b"x = 1\n"
        assert stat.S_ISREG(archive.getinfo("same.py").external_attr >> 16)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("outside", "links to a file outside the folder that is packaged"),
        ("absolute", "links to a file outside the folder that is packaged"),
        ("nowhere", "cannot be read, or links to nothing"),
        ("itself", "cannot be read, or links to nothing"),
        ("folder", "is a link to a folder"),
        ("pipe", "is neither a file nor a folder"),
        ("name", "has a name that is not UTF-8"),
        ("empty", "holds no file to package"),
    ],
)
def test_what_cannot_be_packed_the_same_everywhere_is_refused(tmp_path: Path, what: str, why: str) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    match what:
        case "outside":
            (folder / "link").symlink_to("../secret")
        case "absolute":
            (folder / "link").symlink_to("/etc/hostname")
        case "nowhere":
            (folder / "link").symlink_to("gone")
        case "itself":
            (folder / "link").symlink_to("link")
        case "folder":
            (folder / "sub").mkdir()
            (folder / "link").symlink_to("sub")
        case "pipe":
            os.mkfifo(folder / "pipe")
        case "name":
            Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_text("x")
        case _:
            pass
    with pytest.raises(BuildFailed, match=why):
        members_of_folder(folder)


def test_a_zip_that_the_build_made_keeps_its_bytes_and_is_known_by_its_members(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x = 1\n")
    ours = packed(tmp_path)
    theirs = tmp_path / "theirs.zip"
    with zipfile.ZipFile(theirs, "w", zipfile.ZIP_STORED) as archive:
        archive.write(tmp_path / "app.py", "app.py")
    found = pack_file(theirs)
    assert found.content == theirs.read_bytes()
    assert found.digest != ours.digest
    assert found.content_digest == ours.content_digest


def a_zip(name: str, mode: int = 0o100644, *, twice: bool = False) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w") as archive:
        for _ in range(2 if twice else 1):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, b"x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        a_zip("../evil"),
        a_zip("a/../../evil"),
        a_zip("/etc/evil"),
        a_zip("a\\evil"),
        a_zip("link", 0o120777),
        a_zip("folder/", 0o040755),
        a_zip("no-mode", 0),
        a_zip("twice", twice=True),
        b"no zip",
        a_zip("truncated")[:-10],
    ],
    ids=[
        "up",
        "up inside",
        "absolute",
        "backslash",
        "link",
        "folder",
        "no mode",
        "twice",
        "no zip",
        "truncated",
    ],
)
def test_a_zip_that_is_not_ours_is_not_unpacked(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ArtifactDamaged):
        unpack(content, tmp_path / "out")
    assert files_below(tmp_path) == []


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
