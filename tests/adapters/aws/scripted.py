"""An `Aws` that answers from a script and holds every request and answer against botocore's service models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore import xform_name
from botocore.session import Session
from botocore.validate import ParamValidator

from pipeline.adapters.aws.session import Aws, Identity

Answer = dict[str, Any] | Exception


@dataclass(frozen=True)
class Asked:
    identity: Identity
    service: str
    region: str
    operation: str
    params: dict[str, Any] = field(hash=False)


class ScriptedAws(Aws):
    """answers: per operation, in order. A list inside stands for the pages of one listing."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers
        self.asked: list[Asked] = []

    def call(
        self, identity: Identity, service: str, region: str, operation: str, **params: Any
    ) -> dict[str, Any]:
        self._note(identity, service, region, operation, params)
        return _given(service, operation, self.answers[operation].pop(0))

    def pages(
        self, identity: Identity, service: str, region: str, operation: str, **params: Any
    ) -> Iterator[dict[str, Any]]:
        self._note(identity, service, region, operation, params)
        answer = self.answers[operation].pop(0)
        for page in answer if isinstance(answer, list) else [answer]:
            yield _given(service, operation, page)

    def operations(self) -> list[str]:
        return [asked.operation for asked in self.asked]

    def _note(self, identity: Identity, service: str, region: str, operation: str, params: Any) -> None:
        _check(service, operation, "input_shape", params)
        self.asked.append(Asked(identity, service, region, operation, params))


def _given(service: str, operation: str, answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Exception):
        raise answer
    if operation != "get_template":  # botocore turns the template's text into a dictionary after the model
        _check(service, operation, "output_shape", answer)
    return answer


def _check(service: str, operation: str, side: str, value: Any) -> None:
    shape = _shape(service, operation, side)
    if shape is None:  # an operation without input, or without output
        assert not value, f"{service} {operation} has no {side}"
        return
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), f"{service} {operation} {side}: {report.generate_report()}"


@cache
def _model(service: str) -> Any:
    return Session().get_service_model(service)


@cache
def _shape(service: str, operation: str, side: str) -> Any:
    names = {xform_name(name): name for name in _model(service).operation_names}
    return getattr(_model(service).operation_model(names[operation]), side)
