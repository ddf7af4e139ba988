"""Floor 2, decide: the text of a CloudFormation template (YAML with short tags, or JSON) to plain JSON values. Pure.

It never guesses: a scalar that YAML 1.1 and 1.2 read differently, or that would come back from AWS as another
text, is a fault that says what to write instead. It never reads a file.

Source: CloudFormation User Guide, "Template formats" (JSON and YAML 1.1, no null values) and "Intrinsic functions".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pipeline.errors import ConfigInvalid

__all__ = ["MAX_SOURCE_BYTES", "TemplateBody", "parse_template"]

TemplateBody: TypeAlias = dict[str, Any]
"""Plain JSON values: dict with str keys, list, str, int, float, bool."""

MAX_SOURCE_BYTES = 2 * 1024 * 1024
"""Twice what CloudFormation takes, because comments do not count in the canonical form."""
MAX_NODES = 200_000
MAX_DEPTH = 100

_YAML = "tag:yaml.org,2002:"
_TAGS = frozenset(
    {
        "And",
        "Base64",
        "Cidr",
        "Contains",
        "EachMemberEquals",
        "EachMemberIn",
        "Equals",
        "FindInMap",
        "GetAZs",
        "If",
        "ImportValue",
        "Join",
        "Length",
        "Not",
        "Or",
        "RefAll",
        "Select",
        "Split",
        "Sub",
        "ToJsonString",
        "Transform",
        "ValueOf",
        "ValueOfAll",
    }
)
"""`!X` stands for `Fn::X`. !Ref, !Condition and !GetAtt have forms of their own."""
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_YAML_1_1_BOOLEAN = re.compile(r"(y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF)")


def parse_template(text: str, name: str) -> TemplateBody:
    """The template as plain JSON values, short tags in their long form, aliases expanded.

    ConfigInvalid with every fault, each with `name` and, for YAML, its line.
    """
    if len(text.encode("utf-8", "replace")) > MAX_SOURCE_BYTES:
        raise _invalid(name, (f"{name}: larger than {MAX_SOURCE_BYTES} bytes",))
    body, faults = _from_json(text, name) if _looks_like_json(text, name) else _from_yaml(text, name)
    if not faults and not isinstance(body, dict):
        faults = [f"{name}: a template is a mapping with the key Resources; this is not a mapping"]
    if faults:
        raise _invalid(name, tuple(faults))
    assert isinstance(body, dict)
    return body


def _invalid(name: str, faults: tuple[str, ...]) -> ConfigInvalid:
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return ConfigInvalid(
        f"the template {name} has {count}",
        state="nothing was built or uploaded",
        remedy=f"correct {name}, then run the same command again",
        details=faults,
    )


def _looks_like_json(text: str, name: str) -> bool:
    if name.endswith(".json"):
        return True
    if not text.lstrip("\ufeff \t\r\n").startswith("{"):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False  # a YAML flow mapping begins with a brace, too
    return True


# --- JSON ------------------------------------------------------------------------------------------


def _from_json(text: str, name: str) -> tuple[object, list[str]]:
    faults: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in items:
            if key in found:
                faults.append(f"{name}: the key {key!r} stands twice in one object")
            if value is None:
                faults.append(f"{name}: {key!r} is null, which CloudFormation refuses")
            found[key] = value
        return found

    def constant(text: str) -> object:
        faults.append(f"{name}: {text} is not a JSON number")
        return 0

    def number(text: str) -> float:
        return _float(text, faults, name)

    try:
        body = json.loads(
            text.removeprefix("\ufeff"), object_pairs_hook=pairs, parse_constant=constant, parse_float=number
        )
    except RecursionError:
        return None, [f"{name}: nested too deeply"]
    except ValueError as fault:
        return None, [f"{name}: not JSON: {fault}"]
    return body, faults


def _float(text: str, faults: list[str], where: str) -> float:
    """Only floats whose text Python writes again just so: then every digest of the template is the same."""
    value = float(text)
    if repr(value) != text.removeprefix("+"):
        faults.append(
            f'{where}: the number {text} would become {value!r}; write {value!r}, or quote it: "{text}"'
        )
    return value


# --- YAML ------------------------------------------------------------------------------------------


def _from_yaml(text: str, name: str) -> tuple[object, list[str]]:
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except RecursionError:
        return None, [f"{name}: nested too deeply"]
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        return None, [f"{where}: not YAML: {' '.join(filter(None, (fault.context, fault.problem)))}"]
    except (YAMLError, ValueError) as fault:
        return None, [f"{name}: not YAML: {str(fault).splitlines()[0]}"]
    if root is None:
        return None, [f"{name}: the template is empty"]
    walk = _Walk(name)
    body = walk.value(root, 0)
    return body, walk.faults


class _Walk:
    """One pass over the node tree; aliases are walked each time they occur, and counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults: list[str] = []
        self.nodes = 0

    def value(self, node: Node, depth: int) -> object:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            self._stop(node)
            return ""
        if isinstance(node, ScalarNode):
            plain = self._scalar(node)
        elif isinstance(node, SequenceNode):
            plain = [self.value(item, depth + 1) for item in node.value]
        else:
            assert isinstance(node, MappingNode)
            plain = self._mapping(node, depth)
        return self._tagged(node, plain)

    def _stop(self, node: Node) -> None:
        fault = f"more than {MAX_NODES} values or {MAX_DEPTH} levels once its aliases are expanded"
        if not any(fault in known for known in self.faults):
            self._fault(node, fault)

    def _fault(self, node: Node, text: str) -> None:
        self.faults.append(f"{self.name}:{node.start_mark.line + 1}: {text}")

    def _tagged(self, node: Node, plain: object) -> object:
        tag = str(node.tag)
        if tag.startswith(_YAML):
            if not isinstance(node, ScalarNode) and tag not in (f"{_YAML}map", f"{_YAML}seq"):
                self._fault(node, f"CloudFormation knows no tag !!{tag.removeprefix(_YAML)}")
            return plain
        short = tag.removeprefix("!")
        if short in ("Ref", "Condition"):
            return {short: plain}
        if short == "GetAtt":
            return {"Fn::GetAtt": self._attribute(node, plain)}
        if short in _TAGS:
            return {f"Fn::{short}": plain}
        self._fault(node, f"CloudFormation knows no tag {tag}")
        return ""

    def _attribute(self, node: Node, plain: object) -> object:
        """`Queue.Arn` becomes [Queue, Arn]; `Nested.Outputs.Url` becomes [Nested, Outputs.Url]."""
        if not isinstance(plain, str):
            return plain
        logical_id, dot, attribute = plain.partition(".")
        if not dot:
            self._fault(node, f"!GetAtt {plain}: write RESOURCE.ATTRIBUTE")
        return [logical_id, attribute]

    def _scalar(self, node: ScalarNode) -> object:
        text = str(node.value)
        tag = str(node.tag).removeprefix(_YAML)
        match tag:
            case "null":
                self._fault(node, "null, or nothing after the colon, which CloudFormation refuses")
                return ""
            case "bool":
                return text.lower() == "true"
            case "int":
                return self._integer(node, text)
            case "float":
                return self._number(node, text)
            case "str" if node.style is None and _YAML_1_1_BOOLEAN.fullmatch(text):
                self._fault(
                    node, f'{text} means different things to different readers: write true, false or "{text}"'
                )
                return text
            case "str" | "timestamp":  # CloudFormation reads 2012-10-17 as a string
                return text
            case _ if tag.startswith("!"):
                return text
            case _:
                self._fault(node, f"a value of the YAML type {tag} has no place in a template; quote it")
                return text

    def _integer(self, node: ScalarNode, text: str) -> object:
        if _INTEGER.fullmatch(text) and text != "-0":
            return int(text)
        self._fault(node, f'the number {text} is read differently by different readers; quote it: "{text}"')
        return text

    def _number(self, node: ScalarNode, text: str) -> object:
        try:
            return _float(text, self.faults, f"{self.name}:{node.start_mark.line + 1}")
        except ValueError:  # .inf, .nan, 1_000.5
            self._fault(node, f'{text} is not a number that JSON knows; quote it: "{text}"')
            return text

    def _mapping(self, node: MappingNode, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        merged: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode) or not str(key_node.tag).startswith(_YAML):
                self._fault(key_node, "a key is a plain text")
                continue
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                merged = self._merge(value_node, depth)
            elif key in found:
                self._fault(key_node, f"the key {key!r} stands twice in one mapping")
            else:
                found[key] = self.value(value_node, depth + 1)
        return {**merged, **found}

    def _merge(self, node: Node, depth: int) -> dict[str, object]:
        """YAML's merge key: earlier mappings win over later ones, the mapping's own keys over all."""
        value = self.value(node, depth + 1)
        parts = value if isinstance(value, list) else [value]
        merged: dict[str, object] = {}
        for part in reversed(parts):
            if isinstance(part, Mapping):
                merged.update(part)
            else:
                self._fault(node, "<< merges a mapping or a list of mappings")
        return merged
