"""Room: stages/packaging. Zips that depend on nothing but names, bytes and the owner's executable bit.

Another folder, another time, another umask, another order of the directory: the same bytes. It must never follow a
link out of the folder it packs, and never write outside the folder it unpacks into.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.errors import ArtifactDamaged, BuildFailed
from pipeline.model.canonical import Json, canonical, sha256_hex
from pipeline.model.ids import Digest, digest

__all__ = ["LEFT_OUT", "Member", "Packed", "members_of_folder", "pack_file", "pack_members", "unpack"]

LEFT_OUT = frozenset({"__pycache__", ".git", ".DS_Store", ".tidegate", ".hg", ".svn"})
"""Names that are never packed: they change without the sources changing."""
_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say."""
_UNIX = 3
_LEVEL = 9
MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
MAX_MEMBERS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """name: POSIX path inside the zip. source: the file its bytes come from."""

    name: str
    source: Path
    executable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """An artifact before it is stored. content_digest: see `pipeline.model.release.Artifact.content`.

    inputs: (path of a source file, its sha256) in order.
    """

    content: bytes
    digest: Digest
    content_digest: Digest
    inputs: tuple[tuple[Path, str], ...]


def members_of_folder(folder: Path) -> tuple[Member, ...]:
    """Every file below, sorted by name. BuildFailed for an empty folder, a link out of it and special files."""
    found = tuple(sorted(_walk(folder, folder.resolve()), key=lambda member: member.name))
    if not found:
        raise BuildFailed(f"{folder} holds no file to package", state="nothing was uploaded")
    return found


def _walk(folder: Path, root: Path) -> Iterator[Member]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        for name in folders:
            if (Path(parent) / name).is_symlink():
                raise _refused(Path(parent) / name, "is a link to a folder; put the folder itself there")
        for name in files:
            if name not in LEFT_OUT:
                path = Path(parent) / name
                yield _member(path, path.relative_to(folder), root)


def _member(path: Path, relative: Path, root: Path) -> Member:
    try:
        target = path.resolve(strict=True)
        mode = target.stat().st_mode
    except (OSError, RuntimeError):
        raise _refused(path, "cannot be read, or links to nothing") from None
    if not target.is_relative_to(root):
        raise _refused(path, "links to a file outside the folder that is packaged")
    if not stat.S_ISREG(mode):
        raise _refused(path, "is neither a file nor a folder")
    name = PurePosixPath(*relative.parts).as_posix()
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise _refused(path, "has a name that is not UTF-8") from None
    return Member(name=name, source=target, executable=bool(mode & stat.S_IXUSR))


def _refused(path: Path, why: str) -> BuildFailed:
    shown = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
    return BuildFailed(
        f"{shown} {why}", state="nothing was uploaded", remedy="change it, then run the command again"
    )


def pack_members(members: Sequence[Member]) -> Packed:
    """Entries in the order of their names, fixed date, mode 0644 or 0755, no extra fields, no folders."""
    buffer = io.BytesIO()
    rows: list[tuple[str, str]] = []
    inputs: list[tuple[Path, str]] = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for member in sorted(members, key=lambda item: item.name):
            content = member.source.read_bytes()
            archive.writestr(_entry(member), content, compresslevel=_LEVEL)
            rows.append((member.name, sha256_hex(content)))
            inputs.append((member.source, rows[-1][1]))
    zipped = buffer.getvalue()
    return Packed(
        content=zipped,
        digest=digest(sha256_hex(zipped)),
        content_digest=_content_digest(rows),
        inputs=tuple(inputs),
    )


def _entry(member: Member) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(member.name, _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = _UNIX
    entry.external_attr = (stat.S_IFREG | (0o755 if member.executable else 0o644)) << 16
    return entry


def _content_digest(rows: Sequence[tuple[str, str]]) -> Digest:
    listing: list[Json] = [[name, sha256] for name, sha256 in sorted(rows)]
    return digest(sha256_hex(canonical(listing)))


def pack_file(path: Path) -> Packed:
    """A file as it is. A zip that the build made itself keeps its bytes; its content digest is of its members."""
    content = path.read_bytes()
    whole = digest(sha256_hex(content))
    return Packed(
        content=content,
        digest=whole,
        content_digest=_digest_of_members(path, content) if is_zip(content) else whole,
        inputs=((path, sha256_hex(content)),),
    )


def is_zip(content: bytes) -> bool:
    return zipfile.is_zipfile(io.BytesIO(content))


def _digest_of_members(path: Path, content: bytes) -> Digest:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MAX_MEMBERS or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
                raise _refused(path, f"holds more than {MAX_MEMBERS} files or {MAX_UNPACKED_BYTES} bytes")
            return _content_digest([(entry.filename, sha256_hex(archive.read(entry))) for entry in entries])
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        raise _refused(path, "is a zip that cannot be read") from None


def unpack(content: bytes, folder: Path) -> tuple[Path, ...]:
    """The files of a zip of ours, written below `folder`. ArtifactDamaged for what `pack_members` never writes:
    absolute names, `..`, links, folders, a name twice, too much."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check(entries)
            return tuple(_extract(archive, entry, folder) for entry in entries)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        raise ArtifactDamaged("an artifact is no readable zip", state="nothing was unpacked") from None


def _check(entries: Sequence[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    total = sum(entry.file_size for entry in entries)
    if len(set(names)) != len(names) or len(names) > MAX_MEMBERS or total > MAX_UNPACKED_BYTES:
        raise ArtifactDamaged("a zip holds a name twice, or too much", state="nothing was unpacked")
    for entry in entries:
        name = PurePosixPath(entry.filename)
        regular = stat.S_ISREG(entry.external_attr >> 16)
        plain = (
            not name.is_absolute() and ".." not in name.parts and "\\" not in entry.filename and name.parts
        )
        if not regular or not plain:
            raise ArtifactDamaged(f"a zip holds the entry {entry.filename!r}", state="nothing was unpacked")


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> Path:
    path = folder / PurePosixPath(entry.filename)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(archive.read(entry))
    path.chmod((entry.external_attr >> 16) & 0o777)
    return path
