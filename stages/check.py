"""Room: stages. `release check`: what a template or a built release leaves undone. It changes nothing.

First form: encryption and data that outlives its stack, and parameters that nobody will give a value. Contracts
(API, SDK and events only grow) are not looked at here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pipeline.decide.findings import Finding, findings_of
from pipeline.decide.template import parameters_of, template_faults
from pipeline.decide.template_text import parse_template
from pipeline.errors import BlockedByPolicy, ConfigInvalid, IntegrityBroken, NotFound
from pipeline.model.ids import Digest
from pipeline.model.release import Manifest, Parameter
from pipeline.ports import Artifacts

__all__ = ["check_release", "check_template", "findings_in", "parameter_findings", "refuse"]


def check_template(path: Path) -> tuple[Finding, ...]:
    """Of a template in a file. NotFound; ConfigInvalid where it cannot be read as a template."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{path.name} is not UTF-8", remedy="save it as UTF-8") from None
    except OSError as fault:
        raise NotFound(f"the template {path} cannot be read: {fault.strerror}") from None
    body = parse_template(text, path.name)
    faults = template_faults(body, path.name)
    if faults:
        raise ConfigInvalid(
            f"the template {path.name} has faults", remedy=f"correct {path.name}", details=faults
        )
    parameters_of(body, path.name)
    return findings_of(body, path.name)


def check_release(manifest: Manifest, artifacts: Artifacts) -> tuple[Finding, ...]:
    """Of the stored templates of a release, exactly as they will be deployed; nested ones included."""
    return findings_in(manifest, artifacts.get)


def findings_in(manifest: Manifest, read: Callable[[Digest], bytes]) -> tuple[Finding, ...]:
    """The same before anything is stored. read: the bytes of a digest."""
    found: list[Finding] = []
    for artifact in manifest.artifacts:
        if not any(_is_template(purpose) for purpose in artifact.purpose.split(", ")):
            continue
        try:
            body = json.loads(read(artifact.digest))
        except ValueError:
            raise IntegrityBroken(f"{artifact.purpose} of {manifest.release} is no template") from None
        found.extend(findings_of(body, artifact.purpose))
    return tuple(sorted(found))


def _is_template(purpose: str) -> bool:
    """A stack's own template, or one nested in it; not a part that AWS::Include takes in."""
    nested = purpose.endswith((".TemplateURL", ".Location")) and not purpose.endswith(".Parameters.Location")
    return nested or purpose.startswith("template:")


def parameter_findings(
    parameters: tuple[Parameter, ...], supplied: frozenset[str], name: str
) -> tuple[Finding, ...]:
    """Parameters without a default that neither Tidegate nor the client's cosmetic values supply."""
    return tuple(
        Finding(
            where=f"{name}: Parameters.{parameter.name}",
            rule="cosmetic-only",
            text="must have a default: nothing gives it a value",
        )
        for parameter in parameters
        if parameter.default is None and parameter.name not in supplied
    )


def refuse(findings: tuple[Finding, ...], what: str) -> None:
    """BlockedByPolicy (exit 8) with every finding; nothing where there is none."""
    if not findings:
        return
    count = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
    raise BlockedByPolicy(
        f"{what} has {count}",
        state="nothing was touched",
        remedy="correct the templates, then run the command again",
        details=tuple(f"{finding.where}: {finding.text} [{finding.rule}]" for finding in findings),
    )
