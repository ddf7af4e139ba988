"""Runs the sample's own code in this process, with exactly the variables that its template sets."""

import itertools
import json
import re
import types
from typing import Any

import boto3

from pipeline.demo import project_files, version_of_intake

from .yaml_tags import template

_counter = itertools.count()


class Calls:
    """Stands where the module's AWS clients stand: answers each call as told, and remembers it."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.made: list[tuple[str, dict[str, Any]]] = []
        self.exceptions = boto3.client("dynamodb", region_name="us-east-1").exceptions

    def __getattr__(self, name: str) -> Any:
        def call(**parameters: Any) -> Any:
            self.made.append((name, parameters))
            reply = self.answers.get(name, {})
            if isinstance(reply, Exception):
                raise reply
            return reply

        return call


def source_of(path: str, version: str = "1.0.0") -> str:
    """The project's file as it is in this version of intake."""
    files = {file.path: file.content for file in (*project_files(sample=True), *version_of_intake(version))}
    return files[path].decode()


def load(path: str, version: str = "1.0.0") -> Any:
    """The Lambda module at this path of the project."""
    module = types.ModuleType(f"sample_{next(_counter)}")
    exec(compile(source_of(path, version), path, "exec"), module.__dict__)
    return module


def intake(version: str, calls: Calls) -> Any:
    module = load("intake/client/app.py", version)
    module.aws = lambda service: calls
    return module


def environment_of(path: str, function: str, version: str = "1.0.0", **values: str) -> dict[str, str]:
    """Exactly the variables that this version's template sets; `values` where it takes them from outside."""
    resource = template(source_of(path, version))["Resources"][function]
    names = resource["Properties"]["Environment"]["Variables"]
    return {name: values.get(name, f"the-{name.lower()}") for name in names}


def request(route: str, body: Any = None) -> dict[str, Any]:
    return {"routeKey": route, "body": None if body is None else json.dumps(body), "isBase64Encoded": False}


CONTEXT = types.SimpleNamespace(aws_request_id="request-1")
READY = {"Table": {"TableStatus": "ACTIVE"}}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
