"""Room: stages/packaging. A template and the local files it refers to, as artifacts and a template without them.

It reads files below the sources and nothing else; nested templates are packaged the same way, innermost first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.decide.references import Content, LocalReference, local_references, with_stored
from pipeline.decide.template import template_bytes, template_faults
from pipeline.decide.template_text import MAX_SOURCE_BYTES, TemplateBody, parse_template
from pipeline.errors import BuildFailed, ConfigInvalid, ReleaseError
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import Digest, digest
from stages.packaging.archive import (
    Member,
    Packed,
    is_zip,
    members_of_folder,
    pack_file,
    pack_members,
)

__all__ = [
    "PackagedItem",
    "PackagedTemplate",
    "Sources",
    "members_of_files",
    "package_path",
    "package_template",
]

MAX_NESTING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """folder: the service's. root: the repository's top; nothing outside it is packaged."""

    folder: Path
    root: Path
    bucket_prefix: str

    def shown(self, path: Path) -> str:
        """Relative to the service's folder, with slashes, so that it is the same in every checkout."""
        return Path(os.path.relpath(path, self.folder)).as_posix()

    def check_inside(self, path: Path, shown: str) -> None:
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise BuildFailed(
                f"{shown} lies outside {self.root}",
                state="nothing was uploaded",
                remedy="keep everything that a release is made of in its repository",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedItem:
    """One artifact to store, and for what. function: logical id of the Lambda function in the root template."""

    packed: Packed
    purpose: str
    function: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedTemplate:
    """body: every local reference replaced. inputs: the template files that were read."""

    name: str
    body: TemplateBody
    items: tuple[PackagedItem, ...]
    inputs: tuple[tuple[Path, str], ...]


@dataclass(slots=True)
class _Work:
    """What one template's packaging has found so far; faults are collected so that all are told at once."""

    sources: Sources
    above: tuple[Path, ...]
    items: list[PackagedItem] = field(default_factory=list)
    inputs: list[tuple[Path, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def package_template(path: Path, sources: Sources, above: tuple[Path, ...] = ()) -> PackagedTemplate:
    """ConfigInvalid for a template that is wrong in itself, BuildFailed for files that cannot be packaged."""
    name = sources.shown(path)
    text = _read(path, sources)
    body = parse_template(text, name)
    faults = template_faults(body, name)
    if faults:
        raise ConfigInvalid(
            f"the template {name} has faults",
            state="nothing was built or uploaded",
            remedy=f"correct {name}, then run the same command again",
            details=faults,
        )
    work = _Work(sources, (*above, path.resolve()))
    work.inputs.append((path, sha256_hex(path.read_bytes())))
    cache: dict[tuple[str, Content], Packed] = {}
    stored = [
        (reference, found)
        for reference in local_references(body)
        if (found := _store(reference, path, work, cache)) is not None
    ]
    if work.faults:
        raise BuildFailed(
            f"what {name} refers to cannot be packaged",
            state="nothing was uploaded",
            remedy="correct the paths, or let the build command make the files",
            details=tuple(work.faults),
        )
    return PackagedTemplate(
        name=name,
        body=with_stored(body, tuple(stored), sources.bucket_prefix),
        items=tuple(work.items),
        inputs=tuple(work.inputs),
    )


def _read(path: Path, sources: Sources) -> str:
    name = sources.shown(path)
    sources.check_inside(path, name)
    try:
        if path.stat().st_size > MAX_SOURCE_BYTES:
            raise ConfigInvalid(f"{name} is larger than {MAX_SOURCE_BYTES} bytes", state="nothing was built")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{name} is not UTF-8", remedy="save it as UTF-8") from None
    except OSError as fault:
        raise ConfigInvalid(
            f"the template {name} cannot be read: {fault.strerror}",
            state="nothing was built",
            remedy="correct [stack.…].template in release.toml",
        ) from None


def _store(
    reference: LocalReference, template: Path, work: _Work, cache: dict[tuple[str, Content], Packed]
) -> Digest | None:
    name = work.sources.shown(template)
    try:
        key = (reference.value, reference.content)
        if key not in cache:
            cache[key] = _packed(reference, template, work)
        packed = cache[key]
    except ReleaseError as fault:
        work.faults.append(f"{name}: {reference.place}: {fault.problem}")
        work.faults.extend(f"  {line}" for line in fault.details)
        return None
    function = reference.logical_id if reference.function and len(work.above) == 1 else ""
    purpose = f"{name}#{reference.place}"
    work.items.append(PackagedItem(packed=packed, purpose=purpose, function=function))
    return packed.digest


def _packed(reference: LocalReference, template: Path, work: _Work) -> Packed:
    if Path(reference.value).is_absolute():
        raise BuildFailed(f"{reference.value} is absolute; write it relative to the template")
    path = template.parent / reference.value
    work.sources.check_inside(path, reference.value)
    if reference.content is Content.TEMPLATE:
        return _nested(path, work)
    if path.is_file() and reference.content is Content.ZIP and not is_zip(path.read_bytes()):
        only = Member(name=path.name, source=path, executable=bool(path.stat().st_mode & stat.S_IXUSR))
        return pack_members((only,))
    return package_path(path, reference.value)


def package_path(path: Path, shown: str) -> Packed:
    """A file as it is, a folder as a zip. BuildFailed where there is neither."""
    if path.is_dir():
        return pack_members(members_of_folder(path))
    if path.is_file():
        return pack_file(path)
    raise BuildFailed(f"{shown!r} is neither a file nor a folder here, nor an s3:// or https:// address")


def _nested(path: Path, work: _Work) -> Packed:
    if path.resolve() in work.above:
        raise BuildFailed(f"{work.sources.shown(path)} nests itself")
    if len(work.above) >= MAX_NESTING:
        raise BuildFailed(f"templates are nested more than {MAX_NESTING} deep")
    inner = package_template(path, work.sources, work.above)
    work.items.extend(inner.items)
    content = template_bytes(inner.body, inner.name)
    whole = digest(sha256_hex(content))
    return Packed(content=content, digest=whole, content_digest=whole, inputs=inner.inputs)


def members_of_files(paths: Sequence[Path], folder: Path) -> tuple[Member, ...]:
    """Chosen files of a folder, by their names below it."""
    return tuple(
        Member(name=path.relative_to(folder).as_posix(), source=path, executable=False)
        for path in sorted(paths)
    )
