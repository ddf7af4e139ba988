"""Aws: what a lost answer becomes, and that no secret gets out."""

from __future__ import annotations

import logging
import threading
from collections import Counter

import pytest

from pipeline.adapters.aws.session import AMBIENT, Aws
from pipeline.errors import (
    AnswerLost,
    CredentialsRefused,
    RequestRefused,
    Throttled,
)
from tests.adapters.aws import fake_endpoint as fake
from tests.adapters.aws.conftest import Point
from tests.adapters.aws.fake_endpoint import Reply, Request
from tests.adapters.aws.identities import PROMOTE, REGION, deploy, usual

pytestmark = pytest.mark.usefixtures("own_configuration")


# --- lost answers ----------------------------------------------------------------------------------


EXECUTE = {"ChangeSetName": "tg-1", "StackName": "svc-intake", "ClientRequestToken": "t"}
THROTTLING = fake.refused("Throttling", "Rate exceeded")
BROKEN = fake.refused("InternalFailure", "oops", 500)


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        pytest.param([BROKEN, BROKEN, BROKEN], AnswerLost, id="server errors"),
        pytest.param([None, None, None], AnswerLost, id="hung up after the request"),
        pytest.param([THROTTLING, THROTTLING, THROTTLING], Throttled, id="throttled from the start"),
        pytest.param([None, THROTTLING, THROTTLING], AnswerLost, id="lost first, throttled afterwards"),
        pytest.param([BROKEN, THROTTLING, THROTTLING], AnswerLost, id="broken first, throttled afterwards"),
        pytest.param([fake.refused("ValidationError", "no")], RequestRefused, id="refused"),
    ],
)
def test_a_writing_call_whose_effect_is_in_doubt_says_so(
    point: Point, replies: list[Reply | None], error: type[Exception]
) -> None:
    left = list(replies)

    def answering(request: Request) -> Reply | None:
        return left.pop(0) if request.action == "ExecuteChangeSet" else usual(request)

    with fake.running(answering) as server:
        aws = point(server)
        with pytest.raises(error) as caught:
            aws.call(PROMOTE, "cloudformation", REGION, "execute_change_set", **EXECUTE)

        assert type(caught.value) is error or error is RequestRefused
        assert left == []


@pytest.mark.parametrize("reply", [None, BROKEN])
def test_a_reading_call_without_answer_has_changed_nothing(point: Point, reply: Reply | None) -> None:
    def answering(request: Request) -> Reply | None:
        return reply if request.action == "DescribeStacks" else usual(request)

    with fake.running(answering) as server:
        aws = point(server)
        with pytest.raises(Throttled):
            aws.call(PROMOTE, "cloudformation", REGION, "describe_stacks")

        assert Counter(server.actions())["DescribeStacks"] == 3


def test_an_answer_that_takes_too_long_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def answering(request: Request) -> Reply:
        released.wait(10)
        return usual(request)

    with fake.running(answering) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with pytest.raises(AnswerLost):
            Aws(call_timeout=0.2).call(AMBIENT, "cloudformation", REGION, "execute_change_set", **EXECUTE)
        released.set()


def test_an_endpoint_that_nobody_answers_at_has_changed_nothing(point: Point) -> None:
    with fake.running(usual) as server:
        aws = point(server)
    with pytest.raises(Throttled, match="could not be reached"):
        aws.call(AMBIENT, "cloudformation", REGION, "execute_change_set", **EXECUTE)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("create_account", {"AccountName": "n", "Email": "qa+1@example.com"}),
        ("close_account", {"AccountId": "000000000007"}),
    ],
)
def test_a_call_without_a_token_is_sent_once_and_never_again(
    point: Point, operation: str, params: dict[str, str]
) -> None:
    with fake.running(lambda request: None) as server:
        aws = point(server)
        with pytest.raises(AnswerLost) as caught:
            aws.call(AMBIENT, "organizations", REGION, operation, **params)

        assert len(server.requests) == 1
        assert "qa+1@example.com" not in str(caught.value)


# --- secrets ---------------------------------------------------------------------------------------


def test_no_secret_reaches_a_log_even_at_debug(
    point: Point, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("botocore.auth").setLevel(logging.DEBUG)
    logging.getLogger("botocore").setLevel(logging.DEBUG)
    with fake.running(usual) as server:
        aws = point(server)
        aws.call(deploy("000000000007"), "cloudformation", REGION, "describe_stacks")

    for secret in ("the-secret", "the-session-token", "the-ambient-secret", "x-000000000007", "Signature"):
        assert secret not in caplog.text
    assert [r for r in caplog.records if r.name.startswith("botocore") and r.levelno < logging.INFO] == []


def test_the_text_of_a_refused_signature_which_quotes_the_token_is_dropped(point: Point) -> None:
    quoted = "The Canonical String should have been x-amz-security-token:the-session-token"

    def answering(request: Request) -> Reply:
        if request.action == "DescribeStacks":
            return fake.refused("SignatureDoesNotMatch", quoted, 403)
        return usual(request)

    with fake.running(answering) as server:
        aws = point(server)
        with pytest.raises(CredentialsRefused) as caught:
            aws.call(PROMOTE, "cloudformation", REGION, "describe_stacks")

    error = caught.value
    assert "the-session-token" not in " ".join((str(error), error.state, error.remedy, *error.details))
    assert (error.__cause__, error.__suppress_context__) == (None, True)


def test_a_malformed_request_is_refused_without_quoting_its_values() -> None:
    with pytest.raises(RequestRefused) as caught:
        Aws().call(AMBIENT, "sts", REGION, "assume_role", RoleArn="short", RoleSessionName="x", ExternalId=7)

    assert "ExternalId" in str(caught.value)
    assert "short" not in str(caught.value)
