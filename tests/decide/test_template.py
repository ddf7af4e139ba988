"""Templates as text, as values and as bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.template import (
    MARK_RESOURCE,
    functions_of,
    mark_parameter,
    parameters_of,
    resource_types_of,
    template_bytes,
    template_digest,
    template_faults,
    with_mark,
)
from pipeline.decide.template_text import parse_template
from pipeline.errors import ConfigInvalid
from pipeline.model.release import Parameter
from pipeline.model.stack import Mark

QUEUE = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}


def parsed(text: str) -> Any:
    return parse_template(text, "client.yaml")


def faults_of(text: str, name: str = "client.yaml") -> tuple[str, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        parse_template(text, name)
    assert caught.value.exit_code == 2
    assert caught.value.state == "nothing was built or uploaded"
    return caught.value.details


# --- text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!Ref Queue", {"Ref": "Queue"}),
        ("!Condition IsLarge", {"Condition": "IsLarge"}),
        ("!GetAtt Queue.Arn", {"Fn::GetAtt": ["Queue", "Arn"]}),
        ("!GetAtt Nested.Outputs.Url", {"Fn::GetAtt": ["Nested", "Outputs.Url"]}),
        ("!GetAtt [Queue, Arn]", {"Fn::GetAtt": ["Queue", "Arn"]}),
        ('!Sub "a-${AWS::Region}"', {"Fn::Sub": "a-${AWS::Region}"}),
        ("!Sub ['${a}', {a: !Ref B}]", {"Fn::Sub": ["${a}", {"a": {"Ref": "B"}}]}),
        ("!If [A, 1, !Ref AWS::NoValue]", {"Fn::If": ["A", 1, {"Ref": "AWS::NoValue"}]}),
        ("!Not [!Equals [!Ref A, '']]", {"Fn::Not": [{"Fn::Equals": [{"Ref": "A"}, ""]}]}),
        ("!Join [',', [a, b]]", {"Fn::Join": [",", ["a", "b"]]}),
        ("!Base64\n    Fn::Sub: x", {"Fn::Base64": {"Fn::Sub": "x"}}),
        ("!GetAZs ''", {"Fn::GetAZs": ""}),
        (
            "!Transform {Name: AWS::Include, Parameters: {Location: s3://a/b}}",
            {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "s3://a/b"}}},
        ),
        ("2012-10-17", "2012-10-17"),
        ("true", True),
        ('"yes"', "yes"),
        ("60", 60),
        ("-1", -1),
        ("0.5", 0.5),
        ('"012345670123"', "012345670123"),
        ("!!str 0123", "0123"),
        ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket"),
        ("Grüße", "Grüße"),
        ("|\n    two\n    lines\n", "two\nlines\n"),
    ],
)
def test_yaml_means_what_cloudformation_reads(text: str, value: object) -> None:
    assert parsed(f"Value: {text}") == {"Value": value}


def test_numbers_as_keys_keep_their_text() -> None:
    assert parsed("responses: {404: {a: b}, 0200: {c: d}}") == {
        "responses": {"404": {"a": "b"}, "0200": {"c": "d"}}
    }


def test_anchors_and_merge_keys_are_expanded() -> None:
    text = "A: &a {x: 1, y: 2}\nB: *a\nC: {<<: *a, y: 3}\nD: {<<: [{x: 7}, *a]}"
    assert parsed(text) == {
        "A": {"x": 1, "y": 2},
        "B": {"x": 1, "y": 2},
        "C": {"x": 1, "y": 3},
        "D": {"x": 7, "y": 2},
    }


def test_json_and_yaml_of_the_same_template_have_the_same_bytes() -> None:
    yaml = "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties: {VisibilityTimeout: 60}\n"
    text = '{"Resources": {"Queue": {"Properties": {"VisibilityTimeout": 60}, "Type": "AWS::SQS::Queue"}}}'
    assert template_bytes(parsed(yaml)) == template_bytes(parse_template(text, "client.json"))


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]"
    for a, b in zip("abcdefg", "bcdefgh", strict=True)
)

BAD_TEXTS = {
    "empty": ("", "client.yaml: the template is empty"),
    "a list": ("- a\n- b", "client.yaml: a template is a mapping with the key Resources; this is not a mapping"),
    "unclosed": ("a: [", "client.yaml:1: not YAML: while parsing a flow node"),
    "a tab": ("a:\n\tb: c", "client.yaml:2: not YAML: while scanning for the next token"),
    "two documents": ("a: b\n---\nc: d", "client.yaml:2: not YAML: expected a single document"),
    "unknown alias": ("a: *b", "client.yaml:1: not YAML: found undefined alias"),
    "duplicate key": ("a: 1\na: 2", "client.yaml:2: the key 'a' stands twice in one mapping"),
    "unknown tag": ("a: !Reff b", "client.yaml:1: CloudFormation knows no tag !Reff"),
    "python tag": (
        "a: !!python/object/apply:os.system [x]",
        "client.yaml:1: CloudFormation knows no tag",
    ),
    "GetAtt without attribute": ("a: !GetAtt Queue", "client.yaml:1: !GetAtt Queue: write RESOURCE.ATTRIBUTE"),
    "null": ("a: b\nc:\n", "client.yaml:3: null, or nothing after the colon"),
    "yes": ("a: yes", 'client.yaml:1: yes means different things to different readers: write true, false or "yes"'),
    "account id": ("a: 012345670123", 'client.yaml:1: the number 012345670123 is read differently by different'),
    "hexadecimal": ("a: 0x1F", "client.yaml:1: the number 0x1F is read differently"),
    "underscore": ("a: 1_000", "client.yaml:1: the number 1_000 is read differently"),
    "version number": ("a: 13.10", 'client.yaml:1: the number 13.10 would become 13.1; write 13.1, or quote it'),
    "infinity": ("a: .inf", "client.yaml:1: .inf is not a number that JSON knows"),
    "binary": ("a: !!binary aGVsbG8=", "client.yaml:1: a value of the YAML type binary has no place"),
    "alias bomb": (BOMB, "more than 200000 values or 100 levels"),
    "recursive alias": ("a: &a [*a]", "more than 200000 values or 100 levels"),
    "nested": ("a: " + "[" * 3000 + "]" * 3000, "client.yaml: nested too deeply"),
    "too large": ("# " + "x" * (2 * 1024 * 1024), "client.yaml: larger than 2097152 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_a_broken_template_is_refused_with_its_place(name: str) -> None:
    text, fault = BAD_TEXTS[name]
    assert any(fault in line for line in faults_of(text)), faults_of(text)


BAD_JSON = {
    "unclosed": ("{", "client.json: not JSON: Expecting property name"),
    "duplicate key": ('{"a": 1, "a": 2}', "client.json: the key 'a' stands twice in one object"),
    "null": ('{"a": null}', "client.json: 'a' is null, which CloudFormation refuses"),
    "NaN": ('{"a": NaN}', "client.json: NaN is not a JSON number"),
    "version number": ('{"a": 13.10}', "client.json: the number 13.10 would become 13.1"),
    "a list": ("[1]", "client.json: a template is a mapping"),
    "nested": ("[" * 100_000, "client.json: nested too deeply"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_a_broken_json_template_is_refused(name: str) -> None:
    text, fault = BAD_JSON[name]
    assert any(fault in line for line in faults_of(text, "client.json"))


def test_every_fault_is_told_at_once() -> None:
    assert [line.split(": ")[0] for line in faults_of("a: yes\nb: 010\nc:\n  d: !No x")] == [
        "client.yaml:1",
        "client.yaml:2",
        "client.yaml:4",
    ]


# --- bytes -----------------------------------------------------------------------------------------


def test_the_bytes_are_ascii_so_that_gettemplate_gives_them_back() -> None:
    body = {**QUEUE, "Description": "Grüße aus Köln ✓"}
    content = template_bytes(body)
    assert content.isascii()
    assert template_digest(json.loads(content)) == template_digest(body)


_VALUES = st.recursive(
    st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), _VALUES, max_size=5))
def test_what_gettemplate_returns_has_the_digest_of_what_was_stored(body: dict[str, Any]) -> None:
    returned = json.loads(template_bytes(body))
    assert template_bytes(returned) == template_bytes(body)
    assert template_digest(returned) == template_digest(body)


def test_a_template_that_cloudformation_would_refuse_for_its_size_is_refused_here() -> None:
    with pytest.raises(ConfigInvalid, match="the template has 1048703 bytes; CloudFormation takes 1048576"):
        template_bytes({**QUEUE, "Description": "x" * (1024 * 1024 + 60)})


# --- shape -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "t: Resources: a template needs at least one resource"),
        ({"Resources": {}}, "t: Resources: a template needs at least one resource"),
        ({"Resources": ["Queue"]}, "t: Resources: a template needs at least one resource"),
        ({**QUEUE, "Resource": {}}, "t: Resource: no such section in a template"),
        ({**QUEUE, "Outputs": []}, "t: Outputs: expected a mapping"),
        ({"Resources": {"Queue": {}}}, "t: Resources.Queue: a resource is a mapping with a Type"),
        (
            {"Resources": {"Queue": "AWS::SQS::Queue"}},
            "t: Resources.Queue: a resource is a mapping with a Type",
        ),
        (
            {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": []}}},
            "t: Resources.Queue.Properties: expected a mapping",
        ),
    ],
)
def test_a_template_of_the_wrong_shape_is_refused(body: dict[str, Any], fault: str) -> None:
    assert fault in template_faults(body, "t")


def test_resources_inside_foreach_and_macros_are_seen() -> None:
    body = {
        "Resources": {
            "Fn::ForEach::Queues": ["Name", ["A", "B"], {"Queue${Name}": {"Type": "AWS::SQS::Queue"}}],
            "Fn::Transform": {"Name": "Macro"},
            "Form": {"Type": "AWS::Lambda::Function"},
            "Sam": {"Type": "AWS::Serverless::Function"},
        }
    }
    assert template_faults(body, "t") == ()
    assert resource_types_of(body) == (
        ("Form", "AWS::Lambda::Function"),
        ("Queue${Name}", "AWS::SQS::Queue"),
        ("Sam", "AWS::Serverless::Function"),
    )
    assert functions_of(body) == ("Form", "Sam")


def test_parameters_keep_their_type_default_and_secrecy() -> None:
    body = {
        "Parameters": {
            "Secret": {"Type": "String", "NoEcho": "true"},
            "Size": {"Type": "Number", "Default": 3},
            "Strict": {"Type": "String", "Default": False},
            "Empty": {"Type": "CommaDelimitedList", "Default": ""},
        }
    }
    assert parameters_of(body, "t") == (
        Parameter(name="Empty", type="CommaDelimitedList", default=""),
        Parameter(name="Secret", type="String", default=None, no_echo=True),
        Parameter(name="Size", type="Number", default="3"),
        Parameter(name="Strict", type="String", default="false"),
    )


def test_every_broken_parameter_is_told() -> None:
    body = {"Parameters": {"A-b": {"Type": "String"}, "B": {}, "C": {"Type": "String", "Default": ["x"]}}}
    with pytest.raises(ConfigInvalid) as caught:
        parameters_of(body, "t")
    assert caught.value.details == (
        "t: Parameters.A-b: a parameter's name has letters and digits only",
        "t: Parameters.B: a parameter is a mapping with a Type",
        "t: Parameters.C.Default: expected one value; the items of a list are separated by commas",
    )


# --- the mark --------------------------------------------------------------------------------------

MARK = Mark(release="intake@1.4.0", digest="sha256:" + "a" * 64, commit="c" * 40)


def test_the_mark_is_one_parameter_and_one_output_and_nothing_else() -> None:
    marked = with_mark({**QUEUE, "Outputs": {"Url": {"Value": "x"}}}, MARK, "intake", "t")
    text = f"intake@1.4.0 sha256:{'a' * 64} {'c' * 40}"
    assert marked["Resources"][MARK_RESOURCE]["Type"] == "AWS::SSM::Parameter"
    assert marked["Resources"][MARK_RESOURCE]["Properties"]["Name"] == "/tidegate/svc-intake/release"
    assert marked["Resources"][MARK_RESOURCE]["Properties"]["Value"] == text
    assert marked["Outputs"]["TidegateRelease"]["Value"] == text
    assert Mark.parse(text) == MARK
    del marked["Resources"][MARK_RESOURCE], marked["Outputs"]["TidegateRelease"]
    assert marked == {**QUEUE, "Outputs": {"Url": {"Value": "x"}}}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"Resources": {MARK_RESOURCE: {"Type": "X"}}}, "t: Resources.TidegateReleaseMark"),
        ({**QUEUE, "Outputs": {"TidegateRelease": {"Value": "x"}}}, "t: Outputs.TidegateRelease"),
        (
            {
                "Resources": {
                    "Mine": {
                        "Type": "AWS::SSM::Parameter",
                        "Properties": {"Name": mark_parameter("intake")},
                    }
                }
            },
            "t: Resources.Mine.Properties.Name: /tidegate/svc-intake/release",
        ),
    ],
)
def test_a_template_that_uses_the_mark_s_names_is_refused(body: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigInvalid, match="kept for the mark of a release") as caught:
        with_mark(body, MARK, "intake", "t")
    assert caught.value.details == (where,)
