"""Templates and the files they refer to."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import BuildFailed, ConfigInvalid, ReleaseError
from stages.packaging.package import PackagedTemplate, Sources, package_template

PREFIX = "tidegate-artifacts-1"


def packaged(folder: Path, template: str, name: str = "client.yaml") -> PackagedTemplate:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(template)
    return package_template(folder / name, Sources(folder=folder, root=folder, bucket_prefix=PREFIX))


def a_resource(kind: str, properties: str) -> str:
    return f"Resources:\n  Thing:\n    Type: {kind}\n    Properties: {properties}\n"


def test_a_folder_of_code_is_zipped_and_referred_to_by_digest(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("x")
    found = packaged(tmp_path, a_resource("AWS::Lambda::Function", "{Code: src}"))
    (item,) = found.items
    assert (item.purpose, item.function) == ("client.yaml#Thing.Code", "Thing")
    assert found.body["Resources"]["Thing"]["Properties"]["Code"] == {
        "S3Bucket": {"Fn::Sub": "tidegate-artifacts-1-${AWS::Region}"},
        "S3Key": f"sha256/{item.packed.digest.removeprefix('sha256:')}",
    }


def test_a_single_file_of_code_is_zipped_alone(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x = 1")
    found = packaged(tmp_path, a_resource("AWS::Lambda::Function", "{Code: ./app.py}"))
    with zipfile.ZipFile(io.BytesIO(found.items[0].packed.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"app.py": b"x = 1"}


def test_a_definition_is_stored_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "flow.asl.json").write_text('{"StartAt": "A"}')
    found = packaged(
        tmp_path, a_resource("AWS::StepFunctions::StateMachine", "{DefinitionS3Location: flow.asl.json}")
    )
    assert found.items[0].packed.content == b'{"StartAt": "A"}'
    assert found.items[0].packed.content_digest == found.items[0].packed.digest


def test_nested_stacks_are_packaged_from_the_inside_out(tmp_path: Path) -> None:
    (tmp_path / "deep" / "src").mkdir(parents=True)
    (tmp_path / "deep" / "src" / "app.py").write_text("x")
    (tmp_path / "deep" / "inner.yaml").write_text(a_resource("AWS::Lambda::Function", "{Code: src}"))
    (tmp_path / "deep" / "middle.yaml").write_text(
        a_resource("AWS::CloudFormation::Stack", "{TemplateURL: inner.yaml}")
    )
    found = packaged(tmp_path, a_resource("AWS::CloudFormation::Stack", "{TemplateURL: deep/middle.yaml}"))
    code, inner, middle = found.items
    assert [item.purpose for item in found.items] == [
        "deep/inner.yaml#Thing.Code",
        "deep/middle.yaml#Thing.TemplateURL",
        "client.yaml#Thing.TemplateURL",
    ]
    assert code.function == ""  # it is no function of the root template
    url = found.body["Resources"]["Thing"]["Properties"]["TemplateURL"]["Fn::Sub"]
    assert url == (
        "https://s3.${AWS::Region}.${AWS::URLSuffix}/tidegate-artifacts-1-${AWS::Region}/sha256/"
        + middle.packed.digest.removeprefix("sha256:")
    )
    assert code.packed.digest.removeprefix("sha256:") in inner.packed.content.decode()
    assert inner.packed.digest.removeprefix("sha256:") in middle.packed.content.decode()
    assert json.loads(middle.packed.content)["Resources"]["Thing"]["Type"] == "AWS::CloudFormation::Stack"


def test_a_sam_transform_passes_through(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("x")
    template = "Transform: AWS::Serverless-2016-10-31\n" + a_resource(
        "AWS::Serverless::Function", "{CodeUri: src/, Handler: app.handler, Events: {Get: {Type: HttpApi}}}"
    )
    found = packaged(tmp_path, template)
    properties = found.body["Resources"]["Thing"]["Properties"]
    assert found.body["Transform"] == "AWS::Serverless-2016-10-31"
    assert properties["CodeUri"]["Bucket"] == {"Fn::Sub": "tidegate-artifacts-1-${AWS::Region}"}
    assert properties["Events"] == {"Get": {"Type": "HttpApi"}}
    assert found.items[0].function == "Thing"


def test_code_that_two_functions_share_is_packed_once(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("x")
    one = "Type: AWS::Lambda::Function, Properties: {Code: src}"
    found = packaged(tmp_path, f"Resources:\n  A: {{{one}}}\n  B: {{{one}}}\n")
    a, b = found.items
    assert a.packed is b.packed
    assert (a.function, b.function) == ("A", "B")


BROKEN = {
    "a path that is not there": (
        a_resource("AWS::Lambda::Function", "{Code: clint/}"),
        BuildFailed,
        "client.yaml: Thing.Code: 'clint/' is neither a file nor a folder here, nor an s3:// or https:// address",
    ),
    "an absolute path": (
        a_resource("AWS::Lambda::Function", "{Code: /etc}"),
        BuildFailed,
        "client.yaml: Thing.Code: /etc is absolute; write it relative to the template",
    ),
    "a path that leaves the repository": (
        a_resource("AWS::Lambda::Function", "{Code: ../..}"),
        BuildFailed,
        "client.yaml: Thing.Code: ../.. lies outside ",
    ),
    "an empty folder": (
        a_resource("AWS::Lambda::Function", "{Code: empty}"),
        BuildFailed,
        "client.yaml: Thing.Code: ",
    ),
    "a nested template that is not there": (
        a_resource("AWS::CloudFormation::Stack", "{TemplateURL: inner.yaml}"),
        BuildFailed,
        "client.yaml: Thing.TemplateURL: the template inner.yaml cannot be read: No such file or directory",
    ),
    "a nested template that is broken": (
        a_resource("AWS::CloudFormation::Stack", "{TemplateURL: broken.yaml}"),
        BuildFailed,
        "  broken.yaml:1: the key 'a' stands twice in one mapping",
    ),
    "a template that nests itself": (
        a_resource("AWS::CloudFormation::Stack", "{TemplateURL: ./client.yaml}"),
        BuildFailed,
        "client.yaml: Thing.TemplateURL: client.yaml nests itself",
    ),
    "a truncated zip": (
        a_resource("AWS::ElasticBeanstalk::ApplicationVersion", "{SourceBundle: broken.zip}"),
        BuildFailed,
        "client.yaml: Thing.SourceBundle: ",
    ),
    "no resources": (
        "Outputs: {}",
        ConfigInvalid,
        "client.yaml: Resources: a template needs at least one resource",
    ),
    "a resource without a type": (
        "Resources: {Thing: {Properties: {}}}",
        ConfigInvalid,
        "client.yaml: Resources.Thing: a resource is a mapping with a Type",
    ),
    "an unknown section": (
        a_resource("AWS::SQS::Queue", "{}") + "Resourcess: {}",
        ConfigInvalid,
        "client.yaml: Resourcess: no such section in a template",
    ),
    "a typo in a tag": (
        a_resource("AWS::SQS::Queue", "{QueueName: !Reff X}"),
        ConfigInvalid,
        "client.yaml:4: CloudFormation knows no tag !Reff",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_template_that_cannot_be_packaged_says_where_and_why(tmp_path: Path, name: str) -> None:
    template, kind, fault = BROKEN[name]
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.yaml").write_text("{a: 1, a: 2}")
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("app.py", "x" * 100)
    damaged = bytearray(whole.getvalue())
    damaged[40] ^= 0xFF
    (tmp_path / "broken.zip").write_bytes(damaged)
    with pytest.raises(ReleaseError) as caught:
        packaged(tmp_path, template)
    assert type(caught.value) is kind
    assert any(line.startswith(fault) for line in caught.value.details), caught.value.details


def test_every_missing_path_is_told_at_once(tmp_path: Path) -> None:
    template = (
        "Resources:\n"
        "  A: {Type: AWS::Lambda::Function, Properties: {Code: a}}\n"
        "  B: {Type: AWS::Lambda::Function, Properties: {Code: b}}\n"
    )
    with pytest.raises(BuildFailed) as caught:
        packaged(tmp_path, template)
    assert [line.split(" is neither")[0] for line in caught.value.details] == [
        "client.yaml: A.Code: 'a'",
        "client.yaml: B.Code: 'b'",
    ]


def test_a_template_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "client.yaml").write_bytes(b"Description: Gr\xfc\xdfe\n")
    with pytest.raises(ConfigInvalid, match=r"client.yaml is not UTF-8"):
        package_template(
            tmp_path / "client.yaml", Sources(folder=tmp_path, root=tmp_path, bucket_prefix=PREFIX)
        )
