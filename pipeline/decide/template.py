"""Floor 2, decide: the shape of a template, its canonical bytes, its parameters and the mark of a release. Pure.

It never changes what a team wrote except to add the mark: one SSM parameter and one output, which move with the
stack and are rolled back with it (see `pipeline.model.stack.Mark`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.decide.template_text import TemplateBody, parse_template
from pipeline.errors import ConfigInvalid
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import Digest, digest, stack_name
from pipeline.model.release import Parameter
from pipeline.model.stack import OUTPUT_OF_MARK, Mark

__all__ = [
    "MARK_RESOURCE",
    "MAX_TEMPLATE_BYTES",
    "functions_of",
    "mark_parameter",
    "parameters_of",
    "resource_types_of",
    "resources_of",
    "template_bytes",
    "template_digest",
    "template_faults",
    "with_mark",
]

MARK_RESOURCE = "TidegateReleaseMark"
"""Logical id of the SSM parameter that carries the mark."""
MAX_TEMPLATE_BYTES = 1024 * 1024
"""CloudFormation quota "Template body size in an S3 object"."""
_SECTIONS = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Conditions",
        "Description",
        "Fn::Transform",
        "Globals",
        "Hooks",
        "Mappings",
        "Metadata",
        "Outputs",
        "Parameters",
        "Resources",
        "Rules",
        "Transform",
    }
)
_FUNCTION_TYPES = frozenset({"AWS::Lambda::Function", "AWS::Serverless::Function"})


# --- bytes -----------------------------------------------------------------------------------------


def template_bytes(body: Mapping[str, Any], name: str = "the template") -> bytes:
    """Canonical ASCII JSON. ASCII, because GetTemplate gives other characters back as question marks.

    Numbers with a fraction are allowed here: they come from the text of the template and go back to the same text.
    ConfigInvalid where CloudFormation would refuse the size.
    """
    content = _canonical(body)
    if len(content) > MAX_TEMPLATE_BYTES:
        raise ConfigInvalid(
            f"{name} has {len(content)} bytes; CloudFormation takes {MAX_TEMPLATE_BYTES}",
            state="nothing was uploaded",
            remedy=f"move resources of {name} into a nested stack",
        )
    return content


def template_digest(body: Mapping[str, Any] | str) -> Digest:
    """Digest of the canonical form of what GetTemplate returns: boto3 gives JSON as a mapping, YAML as text."""
    return digest(
        sha256_hex(_canonical(parse_template(body, "the template") if isinstance(body, str) else body))
    )


def _canonical(body: Mapping[str, Any]) -> bytes:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


# --- shape -----------------------------------------------------------------------------------------


def template_faults(body: TemplateBody, name: str) -> tuple[str, ...]:
    """What is wrong with the shape: enough that everything here and in packaging can rely on it."""
    faults = [f"{name}: {key}: no such section in a template" for key in sorted(body) if key not in _SECTIONS]
    resources = body.get("Resources")
    if not isinstance(resources, dict) or not resources:
        return (*faults, f"{name}: Resources: a template needs at least one resource")
    for section in ("Parameters", "Outputs", "Conditions", "Mappings", "Globals"):
        if not isinstance(body.get(section, {}), dict):
            faults.append(f"{name}: {section}: expected a mapping")
    for logical_id, resource in resources.items():
        if logical_id.startswith("Fn::"):
            continue
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            faults.append(f"{name}: Resources.{logical_id}: a resource is a mapping with a Type")
        elif not isinstance(resource.get("Properties", {}), dict):
            faults.append(f"{name}: Resources.{logical_id}.Properties: expected a mapping")
    return tuple(faults)


def resources_of(resources: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(logical id, resource) of every resource, those inside Fn::ForEach under their pattern, too.

    Source: CloudFormation User Guide, "Fn::ForEach": [identifier, collection, {key: resource}].
    """
    for logical_id, resource in resources.items():
        if logical_id.startswith("Fn::ForEach::"):
            if isinstance(resource, list) and len(resource) == 3 and isinstance(resource[2], dict):
                yield from resources_of(resource[2])
        elif isinstance(resource, dict) and isinstance(resource.get("Type"), str):
            yield logical_id, resource


def resource_types_of(body: TemplateBody) -> tuple[tuple[str, str], ...]:
    return tuple(
        sorted((logical_id, str(res["Type"])) for logical_id, res in resources_of(body["Resources"]))
    )


def functions_of(body: TemplateBody) -> tuple[str, ...]:
    """Logical ids of the Lambda functions that stand in the template itself, SAM's included, sorted.

    A function under a Condition is left out: it may rightly be absent from an account.
    """
    resources = body.get("Resources", {})
    return tuple(
        name
        for name, kind in resource_types_of(body)
        if kind in _FUNCTION_TYPES and "${" not in name and "Condition" not in resources.get(name, {})
    )


# --- parameters ------------------------------------------------------------------------------------


def parameters_of(body: TemplateBody, name: str) -> tuple[Parameter, ...]:
    """ConfigInvalid with every fault of the Parameters section."""
    faults: list[str] = []
    found = [_parameter(key, raw, name, faults) for key, raw in sorted(body.get("Parameters", {}).items())]
    if faults:
        raise ConfigInvalid(
            f"the parameters of {name} have faults", remedy=f"correct {name}", details=tuple(faults)
        )
    return tuple(found)


def _parameter(key: str, raw: object, name: str, faults: list[str]) -> Parameter:
    where = f"{name}: Parameters.{key}"
    if not key.isascii() or not key.isalnum():
        faults.append(f"{where}: a parameter's name has letters and digits only")
    if not isinstance(raw, dict) or not isinstance(raw.get("Type"), str):
        faults.append(f"{where}: a parameter is a mapping with a Type")
        return Parameter(name=key, type="String", default=None)
    default = raw.get("Default")
    if isinstance(default, list | dict):
        faults.append(f"{where}.Default: expected one value; the items of a list are separated by commas")
        default = ""
    no_echo = raw.get("NoEcho", False)
    return Parameter(
        name=key,
        type=raw["Type"],
        default=None if default is None else _text(default),
        no_echo=str(no_echo).lower() == "true",
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- the mark --------------------------------------------------------------------------------------


def mark_parameter(service: str) -> str:
    """Name of the SSM parameter that carries the mark of a service's stack."""
    return f"/tidegate/{stack_name(service)}/release"


def with_mark(body: TemplateBody, mark: Mark, service: str, name: str) -> TemplateBody:
    """A copy with the mark added. ConfigInvalid where the template uses the mark's names itself."""
    resources, outputs = body["Resources"], body.get("Outputs", {})
    taken = [f"{name}: Resources.{MARK_RESOURCE}"] if MARK_RESOURCE in resources else []
    taken += [f"{name}: Outputs.{OUTPUT_OF_MARK}"] if OUTPUT_OF_MARK in outputs else []
    taken += [
        f"{name}: Resources.{logical_id}.Properties.Name: {mark_parameter(service)}"
        for logical_id, resource in resources_of(resources)
        if resource["Type"] == "AWS::SSM::Parameter"
        and resource.get("Properties", {}).get("Name") == mark_parameter(service)
    ]
    if taken:
        raise ConfigInvalid(
            f"the template {name} uses names that are kept for the mark of a release",
            state="nothing was uploaded",
            remedy=f"rename them in {name}",
            details=tuple(taken),
        )
    parameter = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {
            "Description": "The release that this stack runs; written by Tidegate",
            "Name": mark_parameter(service),
            "Type": "String",
            "Value": mark.text(),
        },
    }
    output = {"Description": "The release that this stack runs", "Value": mark.text()}
    return {
        **body,
        "Resources": {**resources, MARK_RESOURCE: parameter},
        "Outputs": {**outputs, OUTPUT_OF_MARK: output},
    }
