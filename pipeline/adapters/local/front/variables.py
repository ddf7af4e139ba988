"""Room: adapters/local/front. Policy variables: `${aws:PrincipalAccount}` in a Resource or a Condition.

ministack compares such text literally. A variable without a value makes a Resource match nothing, as AWS does
(IAM user guide, "Policy variables"). The escapes `${*}`, `${?}` and `${$}` are not supported: they match nothing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

__all__ = ["install_variables"]

_VARIABLE = re.compile(r"\$\{([^},]+)(?:,\s*'([^']*)')?\}")
Lookup = Callable[[str, Any], Any]


def install_variables() -> None:
    """Wrap statement matching; call after the condition keys are wrapped, since variables are condition keys."""
    from ministack.core import iam_evaluator as evaluator

    match, met, lookup = evaluator._first_match, evaluator._conditions_met, evaluator._resolve_condition_key

    def first_match(context: Any, statements: list[Any], effect: str) -> Any:
        fitting = [_with_resources(statement, context, lookup) for statement in statements]
        return match(context, [statement for statement in fitting if statement is not None], effect)

    def conditions_met(conditions: Any, context: Any) -> bool:
        return bool(met(_expanded(conditions, context, lookup), context))

    evaluator._first_match = first_match
    evaluator._conditions_met = conditions_met


def _with_resources(statement: Any, context: Any, lookup: Lookup) -> Any:
    """The statement with its Resource variables filled in, or None when none of its resources has a value."""
    if not any("${" in text for text in (*statement.resources, *statement.not_resources)):
        return statement
    resources = [text for raw in statement.resources if (text := _filled(raw, context, lookup)) is not None]
    excluded = [
        text for raw in statement.not_resources if (text := _filled(raw, context, lookup)) is not None
    ]
    if statement.resources and not resources:
        return None
    return dataclasses.replace(statement, resources=resources, not_resources=excluded)


def _expanded(value: Any, context: Any, lookup: Lookup) -> Any:
    """Conditions with every variable filled in; text without a value stays as it is and equals nothing."""
    match value:
        case str() if "${" in value:
            filled = _filled(value, context, lookup)
            return value if filled is None else filled
        case list():
            return [_expanded(item, context, lookup) for item in value]
        case dict():
            return {key: _expanded(item, context, lookup) for key, item in value.items()}
        case _:
            return value


def _filled(text: str, context: Any, lookup: Lookup) -> str | None:
    missing = False

    def fill(found: re.Match[str]) -> str:
        nonlocal missing
        value = lookup(found.group(1), context)
        if isinstance(value, str):
            return value
        missing = missing or found.group(2) is None
        return found.group(2) or ""

    filled = _VARIABLE.sub(fill, text)
    return None if missing else filled
