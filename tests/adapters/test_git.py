"""What git says of a folder, in true repositories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import git
import pytest

from pipeline.adapters.git import GitRepository, versions_of
from pipeline.errors import NotFound
from pipeline.ports import Commit

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def a_repository(folder: Path) -> git.Repo:
    repository = git.Repo.init(folder)
    (folder / "intake").mkdir()
    (folder / "intake" / "app.py").write_text("x = 1\n")
    return repository


def committed(repository: git.Repo) -> git.Repo:
    actor = git.Actor("Ada", "ada@example.com")
    repository.git.add(".")
    repository.index.commit(
        "first", author=actor, committer=actor, commit_date=AT.astimezone(timezone(timedelta(hours=2)))
    )
    return repository


def test_a_clean_tagged_commit(tmp_path: Path) -> None:
    repository = committed(a_repository(tmp_path))
    repository.create_tag("intake/1.4.0")
    found = GitRepository().commit(str(tmp_path / "intake"), "intake")
    assert found == Commit(sha=repository.head.commit.hexsha, dirty=False, versions=("1.4.0",), at=AT)


@pytest.mark.parametrize("change", ["changed", "staged", "untracked", "elsewhere in the tree"])
def test_a_tree_with_any_change_is_dirty(tmp_path: Path, change: str) -> None:
    repository = committed(a_repository(tmp_path))
    name = {"untracked": "intake/new.py", "elsewhere in the tree": "other.txt"}.get(change, "intake/app.py")
    (tmp_path / name).write_text("x = 2\n")
    if change == "staged":
        repository.git.add(".")
    assert GitRepository().commit(str(tmp_path / "intake"), "intake").dirty


def test_an_ignored_file_does_not_make_it_dirty(tmp_path: Path) -> None:
    repository = a_repository(tmp_path)
    (tmp_path / ".gitignore").write_text("dist/\n")
    committed(repository)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "out.zip").write_bytes(b"zip")
    assert not GitRepository().commit(str(tmp_path), "intake").dirty


def test_tags_of_other_commits_do_not_count(tmp_path: Path) -> None:
    repository = committed(a_repository(tmp_path))
    repository.create_tag("v1.0.0")
    (tmp_path / "intake" / "app.py").write_text("x = 2\n")
    committed(repository)
    assert GitRepository().commit(str(tmp_path), "intake").versions == ()


def test_an_annotated_tag_counts(tmp_path: Path) -> None:
    repository = committed(a_repository(tmp_path))
    repository.git.execute(
        ["git", "-c", "user.name=Ada", "-c", "user.email=a@example.com", "tag", "-a", "v2.0.0", "-m", "two"]
    )
    assert GitRepository().commit(str(tmp_path), "intake").versions == ("2.0.0",)


@pytest.mark.parametrize(
    ("tags", "versions"),
    [
        (("intake/1.4.0",), ("1.4.0",)),
        (("intake@1.4.0",), ("1.4.0",)),
        (("v1.4.0", "1.4.0"), ("1.4.0",)),
        (("1.4.0-rc.1",), ("1.4.0-rc.1",)),
        (("notify/2.0.0", "latest", "v1"), ()),
        (("intake/1.4.0", "v9.0.0"), ("1.4.0",)),
        (("intake/2.0.0", "intake@1.4.0"), ("1.4.0", "2.0.0")),
    ],
)
def test_versions_are_read_from_tags(tags: tuple[str, ...], versions: tuple[str, ...]) -> None:
    assert versions_of(tags, "intake") == versions


def test_a_folder_outside_any_repository_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is in no git repository"):
        GitRepository().commit(str(tmp_path), "intake")
    with pytest.raises(NotFound, match="is in no git repository"):
        GitRepository().commit(str(tmp_path / "nowhere"), "intake")


def test_a_repository_without_a_commit_is_not_found(tmp_path: Path) -> None:
    a_repository(tmp_path)
    with pytest.raises(NotFound, match="has no commit yet"):
        GitRepository().commit(str(tmp_path), "intake")


def test_a_folder_named_like_an_option_is_only_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "--upload-pack=touch pwned"
    folder.mkdir()
    committed(a_repository(folder))
    assert not GitRepository().commit(str(folder), "--help").dirty
    assert not list(tmp_path.rglob("pwned"))


def test_git_variables_of_a_hook_do_not_lead_it_to_another_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "other").mkdir()
    ours = committed(a_repository(tmp_path / "ours"))
    other = a_repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.git_dir))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.working_tree_dir))
    found = GitRepository().commit(str(tmp_path / "ours"), "intake")
    assert (found.sha, found.dirty) == (ours.head.commit.hexsha, False)
