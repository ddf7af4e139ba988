"""Floor 2, decide: what a template refers to in local files, and the template with stored files instead. Pure.

It never reads a file: it names the references; whoever packs them gives the digests back. A reference becomes
`{Fn::Sub: "PREFIX-${AWS::Region}"}` and a key made of the digest, so that one template serves every Region.

Source: AWS CLI reference, "aws cloudformation package"; resource reference of each type for the shape of its
property; SAM specification for the object form {Bucket, Key}, because SAM takes no Fn::Sub in the text form.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.decide.template import resources_of
from pipeline.decide.template_text import TemplateBody
from pipeline.model.ids import Digest
from pipeline.model.release import artifact_key

__all__ = ["Content", "LocalReference", "local_references", "with_stored"]


class Content(StrEnum):
    ZIP = "zip"
    """A folder is zipped; a file that is no zip is zipped alone."""
    FILE = "file"
    """A folder is zipped; a file is stored as it is."""
    TEMPLATE = "template"
    """A template, packaged itself."""


class _Shape(StrEnum):
    S3_BUCKET_KEY = "S3Bucket, S3Key"
    BUCKET_KEY = "Bucket, Key"
    URI = "s3://"
    URL = "https://"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalReference:
    """path: where the value stands in the template. value: the local path as written."""

    path: tuple[str | int, ...]
    value: str
    content: Content
    shape: str
    logical_id: str = ""
    function: bool = False
    """The code of a Lambda function that will have the logical id."""

    @property
    def place(self) -> str:
        """Such as `FormFunction.Code` or `Globals.Function.CodeUri`."""
        parts = [str(part) for part in self.path if part not in ("Resources", "Properties")]
        return ".".join(parts)


@dataclass(frozen=True, slots=True)
class _Rule:
    property: tuple[str, ...]
    content: Content
    shape: _Shape


def _rule(path: str, content: Content, shape: _Shape) -> _Rule:
    return _Rule(tuple(path.split(".")), content, shape)


_MAPPINGS = tuple(
    _rule(f"{kind}MappingTemplateS3Location", Content.FILE, _Shape.URI) for kind in ("Request", "Response")
)
_RULES: Mapping[str, tuple[_Rule, ...]] = {
    "AWS::ApiGateway::RestApi": (_rule("BodyS3Location", Content.FILE, _Shape.BUCKET_KEY),),
    "AWS::ApiGatewayV2::Api": (_rule("BodyS3Location", Content.FILE, _Shape.BUCKET_KEY),),
    "AWS::AppSync::FunctionConfiguration": (*_MAPPINGS, _rule("CodeS3Location", Content.FILE, _Shape.URI)),
    "AWS::AppSync::GraphQLSchema": (_rule("DefinitionS3Location", Content.FILE, _Shape.URI),),
    "AWS::AppSync::Resolver": (*_MAPPINGS, _rule("CodeS3Location", Content.FILE, _Shape.URI)),
    "AWS::CloudFormation::ModuleVersion": (_rule("ModulePackage", Content.FILE, _Shape.URI),),
    "AWS::CloudFormation::ResourceVersion": (_rule("SchemaHandlerPackage", Content.FILE, _Shape.URI),),
    "AWS::CloudFormation::Stack": (_rule("TemplateURL", Content.TEMPLATE, _Shape.URL),),
    "AWS::CodeCommit::Repository": (_rule("Code.S3", Content.ZIP, _Shape.BUCKET_KEY),),
    "AWS::ElasticBeanstalk::ApplicationVersion": (_rule("SourceBundle", Content.FILE, _Shape.S3_BUCKET_KEY),),
    "AWS::Glue::Job": (_rule("Command.ScriptLocation", Content.FILE, _Shape.URI),),
    "AWS::Lambda::Function": (_rule("Code", Content.ZIP, _Shape.S3_BUCKET_KEY),),
    "AWS::Lambda::LayerVersion": (_rule("Content", Content.ZIP, _Shape.S3_BUCKET_KEY),),
    "AWS::Serverless::Api": (_rule("DefinitionUri", Content.FILE, _Shape.BUCKET_KEY),),
    "AWS::Serverless::Application": (_rule("Location", Content.TEMPLATE, _Shape.URL),),
    "AWS::Serverless::Function": (_rule("CodeUri", Content.ZIP, _Shape.BUCKET_KEY),),
    "AWS::Serverless::HttpApi": (_rule("DefinitionUri", Content.FILE, _Shape.BUCKET_KEY),),
    "AWS::Serverless::LayerVersion": (_rule("ContentUri", Content.ZIP, _Shape.BUCKET_KEY),),
    "AWS::Serverless::StateMachine": (_rule("DefinitionUri", Content.FILE, _Shape.BUCKET_KEY),),
    "AWS::StepFunctions::StateMachine": (_rule("DefinitionS3Location", Content.FILE, _Shape.BUCKET_KEY),),
}
_CODE_OF_FUNCTION = {"AWS::Lambda::Function", "AWS::Serverless::Function"}
_GLOBALS = {
    "Function": "CodeUri",
    "Api": "DefinitionUri",
    "HttpApi": "DefinitionUri",
    "LayerVersion": "ContentUri",
}
"""SAM's Globals section: the same properties, shared by every resource of the type."""


def local_references(body: TemplateBody) -> tuple[LocalReference, ...]:
    """Every reference to a local file, in the order of their places. What points to S3 or the web, what is given
    inline (ZipFile, ImageUri) and what an intrinsic function computes is left alone."""
    found = [*_in_resources(body), *_in_globals(body), *_includes(body, ())]
    return tuple(sorted(found, key=lambda reference: [str(part) for part in reference.path]))


def _in_resources(body: TemplateBody) -> Iterator[LocalReference]:
    for path, logical_id, resource in _placed(body["Resources"], ("Resources",)):
        kind = resource["Type"]
        for rule in _RULES.get(kind, ()):
            value = _at(resource.get("Properties", {}), rule.property)
            if _is_local(value):
                yield LocalReference(
                    path=(*path, "Properties", *rule.property),
                    value=value,
                    content=rule.content,
                    shape=rule.shape,
                    logical_id=logical_id,
                    function=kind in _CODE_OF_FUNCTION and "${" not in logical_id,
                )


def _placed(
    resources: Mapping[str, Any], path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str, dict[str, Any]]]:
    """resources_of with the path to each."""
    for key, value in resources.items():
        if key.startswith("Fn::ForEach::"):
            if isinstance(value, list) and len(value) == 3 and isinstance(value[2], dict):
                yield from _placed(value[2], (*path, key, 2))
            continue
        for logical_id, resource in resources_of({key: value}):
            yield (*path, key), logical_id, resource


def _in_globals(body: TemplateBody) -> Iterator[LocalReference]:
    users = tuple(
        logical_id
        for logical_id, resource in resources_of(body["Resources"])
        if resource["Type"] == "AWS::Serverless::Function" and "CodeUri" not in resource.get("Properties", {})
    )
    for section, name in _GLOBALS.items():
        value = _at(body.get("Globals", {}), (section, name))
        if not _is_local(value):
            continue
        (rule,) = _RULES[f"AWS::Serverless::{section}"]
        for user in users if section == "Function" and users else ("",):
            yield LocalReference(
                path=("Globals", section, name),
                value=value,
                content=rule.content,
                shape=rule.shape,
                logical_id=user,
                function=bool(user),
            )


def _includes(value: object, path: tuple[str | int, ...]) -> Iterator[LocalReference]:
    """AWS::Include anywhere: as Fn::Transform, or as a Transform of the template itself."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "Fn::Transform" or (key == "Transform" and not path):
                yield from _include(inner, (*path, key))
            yield from _includes(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _includes(inner, (*path, number))


def _include(macro: object, path: tuple[str | int, ...]) -> Iterator[LocalReference]:
    if isinstance(macro, list):
        for number, item in enumerate(macro):
            yield from _include(item, (*path, number))
    elif isinstance(macro, dict) and macro.get("Name") == "AWS::Include":
        value = _at(macro, ("Parameters", "Location"))
        if _is_local(value):
            yield LocalReference(
                path=(*path, "Parameters", "Location"), value=value, content=Content.FILE, shape=_Shape.URI
            )


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _is_local(value: object) -> bool:
    return isinstance(value, str) and not value.startswith(("s3://", "http://", "https://", "{{resolve:"))


def with_stored(
    body: TemplateBody, stored: tuple[tuple[LocalReference, Digest], ...], bucket_prefix: str
) -> TemplateBody:
    """A copy in which each reference points to its artifact in the bucket of the stack's own Region."""
    rewritten = copy.deepcopy(body)
    for reference, digest in stored:
        parent: Any = rewritten
        for part in reference.path[:-1]:
            parent = parent[part]
        parent[reference.path[-1]] = _location(reference.shape, digest, bucket_prefix)
    return rewritten


def _location(shape: str, digest: Digest, bucket_prefix: str) -> dict[str, Any]:
    bucket, key = f"{bucket_prefix}-${{AWS::Region}}", artifact_key(digest)
    match shape:
        case _Shape.S3_BUCKET_KEY:
            return {"S3Bucket": {"Fn::Sub": bucket}, "S3Key": key}
        case _Shape.BUCKET_KEY:
            return {"Bucket": {"Fn::Sub": bucket}, "Key": key}
        case _Shape.URI:
            return {"Fn::Sub": f"s3://{bucket}/{key}"}
        case _:  # path style: the only form of TemplateURL that every partition and Region takes
            return {"Fn::Sub": f"https://s3.${{AWS::Region}}.${{AWS::URLSuffix}}/{bucket}/{key}"}
