"""Room: stages/packaging. All of a service's sources as one release: artifacts, marked templates, manifest.

It reads the service's folder and stores nothing. What it makes depends on the sources, the commit and the version
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from pipeline.decide.template import (
    functions_of,
    parameters_of,
    resource_types_of,
    template_bytes,
    with_mark,
)
from pipeline.errors import BuildFailed, ConfigInvalid, ReleaseError
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import Digest, ReleaseName, digest
from pipeline.model.release import Artifact, BuiltStack, Manifest, ServiceSpec, release_digest
from pipeline.model.stack import Mark
from stages.manifests import spec_to_json
from stages.packaging.archive import Packed, pack_members
from stages.packaging.package import (
    PackagedItem,
    PackagedTemplate,
    Sources,
    members_of_files,
    package_path,
    package_template,
)

__all__ = ["AssembledRelease", "Origin", "assemble"]

_T = TypeVar("_T")
MAX_INPUTS = 20_000
"""More source files than this are not listed one by one: their zips' content digests speak for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a build comes from, as the manifest states it."""

    release: ReleaseName
    commit: str
    dirty: bool
    builder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssembledRelease:
    """contents: (digest, bytes) of every artifact that the manifest lists."""

    manifest: Manifest
    contents: tuple[tuple[Digest, bytes], ...]


def assemble(spec: ServiceSpec, sources: Sources, origin: Origin) -> AssembledRelease:
    """ConfigInvalid or BuildFailed with the faults of both templates and of every path at once."""
    faults: list[ReleaseError] = []
    templates = {
        role: found
        for role, name in (("client", spec.client_template), ("service", spec.service_template))
        if name and (found := _tried(partial(_template, name, sources), faults)) is not None
    }
    items = [item for template in templates.values() for item in template.items]
    items += [item for item in (_tried(make, faults) for make in _extras(spec, sources)) if item is not None]
    if faults:
        raise _together(faults)
    if not templates:
        raise ConfigInvalid(
            "release.toml names no template",
            state="nothing was built",
            remedy='add [stack.client] template = "client.yaml"',
        )
    items.append(PackagedItem(packed=_whole(spec_to_json(spec)), purpose="spec"))
    return _release(templates, items, sources, origin)


def _template(name: str, sources: Sources) -> PackagedTemplate:
    packaged = package_template(sources.folder / name, sources)
    parameters_of(packaged.body, packaged.name)
    return packaged


def _tried(make: Callable[[], _T], faults: list[ReleaseError]) -> _T | None:
    try:
        return make()
    except (ConfigInvalid, BuildFailed) as fault:
        faults.append(fault)
        return None


def _together(faults: list[ReleaseError]) -> ReleaseError:
    if len(faults) == 1:
        return faults[0]
    lines = [line for fault in faults for line in (fault.problem, *(f"  {d}" for d in fault.details))]
    kind = ConfigInvalid if any(isinstance(fault, ConfigInvalid) for fault in faults) else BuildFailed
    return kind(
        f"the release cannot be packaged: {len(faults)} files have faults",
        state="nothing was uploaded",
        remedy="correct them, then run the same command again",
        details=tuple(lines),
    )


# --- what is shipped beside the stacks -------------------------------------------------------------


def _extras(spec: ServiceSpec, sources: Sources) -> Iterable[Callable[[], PackagedItem]]:
    for purpose, path in (
        ("contract:openapi", spec.contract.openapi),
        ("contract:sdk", spec.contract.sdk),
        ("contract:tests", spec.contract.tests),
        ("tests", spec.test.tests),
    ):
        if path:
            yield partial(_extra, purpose, path, sources)
    if spec.contract.events:
        yield partial(_events, spec.contract.events, sources)


def _extra(purpose: str, path: str, sources: Sources) -> PackagedItem:
    where = sources.folder / path
    sources.check_inside(where, path)
    return PackagedItem(packed=package_path(where, path), purpose=purpose)


def _events(pattern: str, sources: Sources) -> PackagedItem:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise BuildFailed(f"[contract].events {pattern!r} leaves the service's folder")
    files = [path for path in sources.folder.glob(pattern) if path.is_file()]
    if not files:
        raise BuildFailed(f"[contract].events {pattern!r} matches no file")
    for path in files:
        sources.check_inside(path, sources.shown(path))
    return PackagedItem(
        packed=pack_members(members_of_files(files, sources.folder)), purpose="contract:events"
    )


def _whole(content: bytes) -> Packed:
    name = digest(sha256_hex(content))
    return Packed(content=content, digest=name, content_digest=name, inputs=())


# --- the manifest ----------------------------------------------------------------------------------


def _release(
    templates: dict[str, PackagedTemplate], items: list[PackagedItem], sources: Sources, origin: Origin
) -> AssembledRelease:
    artifacts = _artifacts(items)
    unmarked = tuple(
        (role, digest(sha256_hex(template_bytes(found.body, found.name))))
        for role, found in sorted(templates.items())
    )
    identity = release_digest(
        origin.release, origin.commit, unmarked, tuple(artifact.digest for artifact in artifacts)
    )
    mark = Mark(release=str(origin.release), digest=identity, commit=origin.commit)
    stacks: list[BuiltStack] = []
    for role, plain in unmarked:
        stack, item = _stack(role, templates[role], plain, mark, origin.release.service)
        stacks.append(stack)
        items.append(item)
    spec = next(item.packed.digest for item in items if item.purpose == "spec")
    manifest = Manifest(
        release=origin.release,
        digest=identity,
        commit=origin.commit,
        dirty=origin.dirty,
        builder=origin.builder,
        stacks=tuple(stacks),
        artifacts=_artifacts(items),
        inputs=_inputs(templates.values(), items, sources),
        spec=spec,
    )
    contents = {item.packed.digest: item.packed.content for item in items}
    return AssembledRelease(manifest=manifest, contents=tuple(sorted(contents.items())))


def _stack(
    role: str, template: PackagedTemplate, plain: Digest, mark: Mark, service: str
) -> tuple[BuiltStack, PackagedItem]:
    marked = with_mark(template.body, mark, service, template.name)
    packed = _whole(template_bytes(marked, template.name))
    known = set(functions_of(template.body))
    functions = {(item.function, item.packed.digest) for item in template.items if item.function in known}
    stack = BuiltStack(
        role=role,
        template=packed.digest,
        unmarked=plain,
        parameters=parameters_of(template.body, template.name),
        functions=tuple(sorted(functions)),
        resource_types=resource_types_of(marked),
    )
    return stack, PackagedItem(packed=packed, purpose=f"template:{role}")


def _artifacts(items: list[PackagedItem]) -> tuple[Artifact, ...]:
    """One per digest; a file that serves several purposes is listed once, with all of them."""
    found: dict[Digest, Artifact] = {}
    for item in sorted(items, key=lambda item: item.purpose):
        packed = item.packed
        function = (item.function,) if item.function else ()
        known = found.get(packed.digest)
        if known is None:
            found[packed.digest] = Artifact(
                digest=packed.digest,
                content=packed.content_digest,
                size=len(packed.content),
                purpose=item.purpose,
                lambda_functions=function,
            )
            continue
        purposes = sorted({*known.purpose.split(", "), item.purpose})
        functions = tuple(sorted({*known.lambda_functions, *function}))
        found[packed.digest] = replace(known, purpose=", ".join(purposes), lambda_functions=functions)
    return tuple(sorted(found.values()))


def _inputs(
    templates: Iterable[PackagedTemplate], items: list[PackagedItem], sources: Sources
) -> tuple[tuple[str, str], ...]:
    own = {(sources.shown(path), sha256) for template in templates for path, sha256 in template.inputs}
    packed = {(sources.shown(path), sha256) for item in items for path, sha256 in item.packed.inputs}
    return tuple(sorted(own | packed if len(packed) <= MAX_INPUTS else own))
