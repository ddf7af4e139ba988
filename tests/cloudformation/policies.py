"""A small judge of IAM policies, for statements as they stand in our own templates: explicit denies win.

Only the operators that the templates use; an unknown one fails the test that meets it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pipeline.cloudformation import Template, template_body
from pipeline.decide.template_text import parse_template

ACCOUNT = "111111111111"
TOOLS = "222222222222"
MANAGEMENT = "333333333333"
TEST_PATH = "o-aaaaaaaaaa/r-aaaa/ou-aaaa-test/*"
PARAMETERS: Mapping[str, Any] = {
    "ToolsAccount": TOOLS,
    "ManagementAccount": MANAGEMENT,
    "ExternalId": "external-id-of-this-account",
    "OrganizationId": "o-aaaaaaaaaa",
    "TestUnitPath": TEST_PATH,
    "TestUnits": [
        f"arn:aws:organizations::{MANAGEMENT}:root/o-aaaaaaaaaa/r-aaaa",
        f"arn:aws:organizations::{MANAGEMENT}:ou/o-aaaaaaaaaa/ou-aaaa-pool",
    ],
    "TemplateUrls": [f"https://s3.us-east-1.amazonaws.com/tidegate-artifacts-{TOOLS}-us-east-1/sha256/*"],
    "TrustedAccounts": [f"arn:aws:iam::{MANAGEMENT}:root"],
    "TrustedPrincipals": [f"arn:aws:iam::{MANAGEMENT}:user/ann"],
    "RepairAccounts": [f"arn:aws:iam::{MANAGEMENT}:root"],
    "RepairPrincipals": [f"arn:aws:iam::{MANAGEMENT}:user/ann"],
    "ListedAccounts": ["arn:aws:iam::444444444444:root"],
}
ACCOUNT_OF = {
    Template.MANAGEMENT: MANAGEMENT,
    Template.TOOLS: TOOLS,
    Template.TOOLS_REGION: TOOLS,
    Template.TARGET: ACCOUNT,
    Template.TEST: ACCOUNT,
}


def body(template: Template) -> dict[str, Any]:
    return dict(parse_template(template_body(template), template.value))


def resolved(template: Template, **parameters: Any) -> dict[str, Any]:
    """The template's resources with every reference and condition worked out."""
    whole = body(template)
    pseudo = {"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT_OF[template], "AWS::Region": "us-east-1"}
    values = {**pseudo, **PARAMETERS, "RequireBoundary": "false", **parameters}
    conditions = {
        name: bool(_work_out(rule, values, {}, whole)) for name, rule in whole.get("Conditions", {}).items()
    }
    found = _work_out(whole["Resources"], values, conditions, whole)
    assert isinstance(found, dict)
    return found


def role_statements(template: Template, logical_id: str, **parameters: Any) -> list[dict[str, Any]]:
    role = resolved(template, **parameters)[logical_id]["Properties"]
    return [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


def trust(template: Template, logical_id: str, **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = resolved(template, **parameters)[logical_id]["Properties"][
        "AssumeRolePolicyDocument"
    ]["Statement"]
    return found


def allows(
    statements: Sequence[Mapping[str, Any]],
    action: str,
    resource: str = "*",
    **context: str | list[str] | None,
) -> bool:
    """context: condition keys with `__` in place of `:`, and `_` for `-`."""
    given = {key.replace("__", ":").replace("_", "-").lower(): value for key, value in context.items()}
    applying = [s for s in statements if _applies(s, action, resource, given)]
    if any(s["Effect"] == "Deny" for s in applying):
        return False
    return any(s["Effect"] == "Allow" for s in applying)


def _applies(
    statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str | list[str] | None]
) -> bool:
    if "NotAction" in statement:
        matches = not any(_like(action.lower(), a.lower()) for a in _list(statement["NotAction"]))
    else:
        matches = any(_like(action.lower(), a.lower()) for a in _list(statement["Action"]))
    if "NotResource" in statement:
        matches = matches and not any(_like(resource, r) for r in _list(statement["NotResource"]))
    elif "Resource" in statement:
        matches = matches and any(_like(resource, r) for r in _list(statement["Resource"]))
    rules = statement.get("Condition", {})
    return matches and all(
        _holds(operator, context.get(key.lower()), _list(wanted))
        for operator, pairs in rules.items()
        for key, wanted in pairs.items()
    )


def _holds(operator: str, actual: str | list[str] | None, wanted: list[str]) -> bool:
    if operator == "Null":
        return (actual is None) == (wanted[0] == "true")
    values = [] if actual is None else _list(actual)
    match operator:
        case "StringEquals" | "ArnEquals" | "Bool":
            return bool(values) and values[0] in wanted
        case "StringLike" | "ArnLike":
            return bool(values) and any(_like(values[0], w) for w in wanted)
        case "StringNotEquals" | "ArnNotEquals":
            return not values or values[0] not in wanted
        case "StringNotLike" | "ArnNotLike":
            return not values or not any(_like(values[0], w) for w in wanted)
        case "ForAnyValue:StringLike":
            return any(_like(v, w) for v in values for w in wanted)
        case "ForAllValues:StringNotLike":
            return all(not _like(v, w) for v in values for w in wanted)
        case _:
            raise AssertionError(f"this judge does not know {operator}")


def _like(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def _list(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]


_ABSENT = object()


def _work_out(value: Any, values: Mapping[str, Any], conditions: Mapping[str, bool], whole: Any) -> Any:
    def inner(item: Any) -> Any:
        return _work_out(item, values, conditions, whole)

    if isinstance(value, list):
        return [found for found in map(inner, value) if found is not _ABSENT]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref":
            return _ABSENT if argument == "AWS::NoValue" else values.get(argument, argument)
        if name == "Fn::Sub":
            text = argument[0] if isinstance(argument, list) else argument
            return re.sub(r"\$\{([^}]+)\}", lambda m: str(values.get(m[1], m[1])), text)
        if name == "Fn::GetAtt":
            return _attribute(argument, values, whole)
        if name == "Fn::If":
            return inner(argument[1] if conditions[argument[0]] else argument[2])
        if name == "Fn::Not":
            return not inner(argument[0])
        if name == "Fn::Equals":
            return inner(argument[0]) == inner(argument[1])
        if name == "Fn::Join":
            return argument[0].join(inner(argument[1]))
    return {key: found for key, item in value.items() if (found := inner(item)) is not _ABSENT}


def _attribute(argument: Any, values: Mapping[str, Any], whole: Any) -> str:
    logical_id = argument[0] if isinstance(argument, list) else argument.split(".")[0]
    name = whole["Resources"][logical_id]["Properties"].get("RoleName")
    account = values["AWS::AccountId"]
    return f"arn:aws:iam::{account}:role/{name}" if name else f"arn:aws:made-up:::{logical_id}"
