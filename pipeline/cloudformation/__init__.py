"""Floor 0, cloudformation: the templates that Tidegate itself deploys, as package data, and their names.

It only reads its own folder. What deploys them is `stages/bootstrap.py` and `stages/test.py`.
"""

from __future__ import annotations

from enum import StrEnum
from importlib.resources import files

__all__ = ["MAX_BODY_BYTES", "RoleName", "Template", "template_body"]

MAX_BODY_BYTES = 51_200
"""CloudFormation quota "Template body size in a request": these are sent before there is a bucket."""


class Template(StrEnum):
    """The value is the name of the stack as well as of the file."""

    MANAGEMENT = "tidegate-management"
    TOOLS = "tidegate-tools"
    TOOLS_REGION = "tidegate-tools-region"
    TARGET = "tidegate-target"
    TEST = "tidegate-test"


class RoleName(StrEnum):
    """Every role of Tidegate. ACCESS is AWS's own, in each account that Organizations makes."""

    ACCOUNTS = "TidegateAccounts"
    BUILD = "TidegateBuild"
    TEST = "TidegateTest"
    PROMOTE = "TidegatePromote"
    DEPLOY = "TidegateDeploy"
    EXECUTION = "TidegateExecution"
    OBSERVE = "TidegateObserve"
    PROTECT = "TidegateProtect"
    REPAIR = "TidegateRepair"
    TESTER = "TidegateTester"
    CLEAN = "TidegateClean"
    ACCESS = "OrganizationAccountAccessRole"


def template_body(template: Template) -> str:
    """The YAML as it is sent to CloudFormation: no local references, at most MAX_BODY_BYTES."""
    name = template.value.removeprefix("tidegate-")
    return files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
