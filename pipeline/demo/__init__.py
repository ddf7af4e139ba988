"""Floor 0, the demo's material: what `release init` writes, and the four versions of the sample service.

Package data only, read through importlib.resources so that it works from a wheel. It must never touch the
user's disk, call AWS, or know anything of the engine: the sample's faults are in the sample's software alone.

    sample/    the tree of `release init --sample`, version 1.0.0 of both services
    versions/  what each later version of `intake` changes, on top of the version before it
    plain/     the tree of `release init`
"""

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

__all__ = ["INTAKE_VERSIONS", "ProjectFile", "project_files", "version_of_intake"]

INTAKE_VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "1.3.0")
"""In the order of the story: well; broken at every client; broken at one client; well again."""

# Python outside sample/ carries this suffix, so that no tool takes three app.py for modules of ours.
_DATA_SUFFIX = ".in"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFile:
    """One file of a project: its path below the project's folder, with `/` between names, and its bytes."""

    path: str
    content: bytes


def project_files(sample: bool) -> tuple[ProjectFile, ...]:
    """Every file that `release init` writes, by path; with `sample` the two services and twelve clients."""
    return _tree("sample" if sample else "plain")


def version_of_intake(version: str) -> tuple[ProjectFile, ...]:
    """The files of the sample project that differ between versions of `intake`, as they are in this one.

    The same paths come back for every version, so writing them over any other version gives exactly this one.
    Each version keeps what its predecessor changed, unless it changes it again. Raises KeyError for a version
    that is not one of INTAKE_VERSIONS.
    """
    if version not in INTAKE_VERSIONS:
        raise KeyError(version)
    sample = {file.path: file for file in project_files(sample=True)}
    changes = [_tree("versions", step) for step in INTAKE_VERSIONS[1:]]
    result = {file.path: sample[file.path] for change in changes for file in change}
    for change in changes[: INTAKE_VERSIONS.index(version)]:
        result.update({file.path: file for file in change})
    return tuple(result[path] for path in sorted(result))


def _tree(*names: str) -> tuple[ProjectFile, ...]:
    found = _walk(files(__name__).joinpath(*names), "")
    return tuple(sorted(found, key=lambda file: file.path))


def _walk(folder: Traversable, prefix: str) -> list[ProjectFile]:
    found: list[ProjectFile] = []
    for entry in folder.iterdir():
        # Installers compile every module they unpack; what they leave behind is not part of the project.
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            found.extend(_walk(entry, f"{prefix}{entry.name}/"))
        else:
            path = f"{prefix}{entry.name.removesuffix(_DATA_SUFFIX)}"
            found.append(ProjectFile(path=path, content=entry.read_bytes()))
    return found
