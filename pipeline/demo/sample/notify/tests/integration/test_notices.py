"""The deployed service: an event of intake's arrives on the account's bus, a notice is kept."""

import json
import time
import uuid


def notice_of(dynamodb, table, form_id, seconds=20):
    """The notice of this form; None when it is not there in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = dynamodb.get_item(TableName=table, Key={"NoticeId": {"S": form_id}}, ConsistentRead=True)
        if "Item" in found:
            return found["Item"]
        time.sleep(0.5)
    return None


def test_a_form_that_arrived_is_noticed(tidegate_session, tidegate_outputs):
    form_id = str(uuid.uuid4())
    detail = {"formId": form_id, "client": "test", "receivedAt": "2024-05-16T08:00:00+00:00"}
    sent = tidegate_session.client("events").put_events(
        Entries=[{"Source": "intake", "DetailType": "FormReceived", "Detail": json.dumps(detail)}]
    )
    assert sent["FailedEntryCount"] == 0

    notice = notice_of(tidegate_session.client("dynamodb"), tidegate_outputs["TableName"], form_id)
    assert notice is not None, "no notice was kept within 20 seconds"
    assert notice["ArrivedAt"] == {"S": detail["receivedAt"]}
