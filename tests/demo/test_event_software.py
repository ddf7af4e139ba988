"""The functions that events call: intake's count, notify's notice, and notify's last."""

import json
from typing import Any

import boto3
import pytest

from .software import CONTEXT, Calls, load

FORM = {
    "id": "e-1",
    "detail": {"formId": "f-1", "client": "birch", "receivedAt": "2024-05-16T08:00:00+00:00"},
}
EXCEPTIONS = boto3.client("dynamodb", region_name="us-east-1").exceptions


def cancelled(*codes: str) -> Exception:
    refusal: dict[str, Any] = {
        "Error": {"Code": "TransactionCanceledException", "Message": ""},
        "CancellationReasons": [{"Code": code} for code in codes],
    }
    return EXCEPTIONS.TransactionCanceledException(refusal, "TransactWriteItems")


def count(monkeypatch: pytest.MonkeyPatch, calls: Calls, body: str) -> Any:
    monkeypatch.setenv("TABLE", "counts")
    module = load("intake/service/app.py")
    module.dynamodb = lambda: calls
    return module.handler({"Records": [{"messageId": "m-1", "body": body}]}, CONTEXT)


def test_an_event_is_counted_and_remembered_in_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls()
    assert count(monkeypatch, calls, json.dumps(FORM)) == {"batchItemFailures": []}
    [(name, transaction)] = calls.made
    put, update = transaction["TransactItems"]
    assert (name, put["Put"]["Item"]["Id"], update["Update"]["Key"]["Id"]) == (
        "transact_write_items",
        {"S": "event#e-1"},
        {"S": "client#birch"},
    )


def test_an_event_that_was_counted_before_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(transact_write_items=cancelled("ConditionalCheckFailed", "None"))
    assert count(monkeypatch, calls, json.dumps(FORM)) == {"batchItemFailures": []}


@pytest.mark.parametrize("body", [json.dumps(FORM), "not JSON", "{}"])
def test_a_message_that_cannot_be_counted_goes_back_alone(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(transact_write_items=cancelled("ThrottlingError", "None"))
    assert count(monkeypatch, calls, body) == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}


def notice(monkeypatch: pytest.MonkeyPatch, calls: Calls) -> Any:
    for name, value in {"TABLE": "notices", "BRAND_COLOUR": "#c33"}.items():
        monkeypatch.setenv(name, value)
    module = load("notify/client/app.py")
    module.aws = lambda service: calls
    return module.handler(FORM, CONTEXT)


def test_a_notice_is_kept_and_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(put_events={"FailedEntryCount": 0})
    assert notice(monkeypatch, calls) == {"kept": True}
    (_, item), (_, events) = calls.made
    assert item["Item"]["NoticeId"] == {"S": "f-1"}
    assert json.loads(events["Entries"][0]["Detail"]) == {"noticeId": "f-1", "client": "birch"}


def test_the_same_event_again_keeps_one_notice_and_announces_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusal = {"Error": {"Code": "ConditionalCheckFailedException", "Message": ""}}
    calls = Calls(
        put_item=EXCEPTIONS.ConditionalCheckFailedException(refusal, "PutItem"),
        put_events={"FailedEntryCount": 0},
    )
    assert notice(monkeypatch, calls) == {"kept": False}
    assert [name for name, _ in calls.made] == ["put_item", "put_events"]


def test_an_announcement_that_the_bus_refuses_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(put_events={"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]})
    with pytest.raises(RuntimeError, match="ThrottlingException"):
        notice(monkeypatch, calls)


def test_the_service_notes_who_was_last_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE", "last")
    calls = Calls()
    module = load("notify/service/app.py")
    module.dynamodb = lambda: calls
    module.handler(
        {"time": "2024-05-16T08:00:01Z", "detail": {"client": "birch", "noticeId": "f-1"}}, CONTEXT
    )
    assert calls.made == [
        (
            "put_item",
            {
                "TableName": "last",
                "Item": {
                    "Client": {"S": "birch"},
                    "NoticeId": {"S": "f-1"},
                    "At": {"S": "2024-05-16T08:00:01Z"},
                },
            },
        )
    ]
