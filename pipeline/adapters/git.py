"""Floor 3, adapters: what git says of a service's folder, through gitpython. It only reads.

Nothing that a person or a file supplied becomes a git argument: every command line is fixed and the folder is the
working directory. Tags are compared here, not by git.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

from pipeline.errors import NotFound, OperationFailed
from pipeline.model.ids import is_version
from pipeline.ports import Commit

__all__ = ["GitRepository"]


class GitRepository:
    """The port `Repository` over the git executable that gitpython finds."""

    def commit(self, folder: str, service: str) -> Commit:
        """HEAD of the repository that holds `folder`. dirty: any change or untracked file in the whole tree."""
        from git import GitError

        repository = _open(folder)
        try:
            head = repository.head.commit
            with repository.git.custom_environment(
                GIT_DIR=str(repository.git_dir), GIT_WORK_TREE=str(repository.working_tree_dir)
            ):
                changes = repository.git.status("--porcelain=v1", "--untracked-files=normal")
                tags = repository.git.tag("--points-at", "HEAD")
        except ValueError:
            raise NotFound(
                f"the git repository of {folder} has no commit yet", remedy="git add . && git commit"
            ) from None
        except (GitError, OSError) as fault:
            raise _failed(folder, fault) from None
        finally:
            repository.close()
        return Commit(
            sha=str(head.hexsha),
            dirty=bool(changes.strip()),
            versions=versions_of(tuple(tags.split()), service),
            at=head.committed_datetime.astimezone(UTC),
        )


def _open(folder: str) -> Any:
    from git import GitError, InvalidGitRepositoryError, NoSuchPathError, Repo

    try:
        repository = Repo(folder, search_parent_directories=True, expand_vars=False)
    except (InvalidGitRepositoryError, NoSuchPathError):
        raise NotFound(
            f"{folder} is in no git repository",
            state="nothing was built",
            remedy="git init, then commit: a release says from which commit it was built",
        ) from None
    except (GitError, OSError) as fault:
        raise _failed(folder, fault) from None
    if repository.working_tree_dir is None:
        repository.close()
        raise NotFound(f"the git repository of {folder} has no working tree", state="nothing was built")
    return repository


def _failed(folder: str, fault: Exception) -> OperationFailed:
    text = str(getattr(fault, "stderr", "") or fault)
    line = re.sub(r"[^\x20-\x7e]", " ", text).strip()[:300]
    return OperationFailed(f"git cannot read {folder}: {line}", state="nothing was built")


def versions_of(tags: tuple[str, ...], service: str) -> tuple[str, ...]:
    """`intake/1.4.0` and `intake@1.4.0` first; only where there is none of these, `v1.4.0` and `1.4.0`."""
    own, common = set(), set()
    for tag in tags:
        for prefix in (f"{service}/", f"{service}@"):
            if tag.startswith(prefix):
                own.add(tag.removeprefix(prefix).removeprefix("v"))
        common.add(tag.removeprefix("v"))
    found = {version for version in own if is_version(version)}
    found = found or {version for version in common if is_version(version)}
    return tuple(sorted(found))
