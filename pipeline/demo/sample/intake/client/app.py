"""intake, in a client's account: takes in patient forms.

GET  /status   says whether this copy could take in a form now
POST /forms    keeps a form and tells the account's bus that it arrived
"""

import base64
import binascii
import functools
import json
import logging
import os
import uuid
from datetime import UTC, datetime

import boto3

VERSION = "1.0.0"
LARGEST_FORM = 200_000  # bytes

log = logging.getLogger()
log.setLevel(logging.INFO)


class BadForm(Exception):
    """What was sent is not a form; the message is safe to show."""


@functools.cache
def aws(service):
    """One client per service and execution environment, made when it is first needed."""
    return boto3.client(service)


def status():
    table = aws("dynamodb").describe_table(TableName=os.environ["TABLE"])["Table"]
    ready = table["TableStatus"] in ("ACTIVE", "UPDATING")
    return answer(
        200 if ready else 503,
        {"service": "intake", "version": VERSION, "client": os.environ["CLIENT"], "ready": ready},
    )


def read_form(event):
    raw = event.get("body") or ""
    try:
        text = base64.b64decode(raw) if event.get("isBase64Encoded") else raw.encode()
        form = json.loads(text)
    except (ValueError, binascii.Error) as problem:
        raise BadForm("the body is not JSON") from problem
    if len(text) > LARGEST_FORM:
        raise BadForm(f"a form may have {LARGEST_FORM} bytes")
    if not isinstance(form, dict) or not isinstance(form.get("patient"), dict):
        raise BadForm('a form needs a "patient" object')
    return form


def take_in(event):
    form = read_form(event)
    form_id = str(uuid.uuid4())
    received_at = datetime.now(UTC).isoformat(timespec="seconds")
    key = f"forms/{form_id}.json"
    aws("s3").put_object(
        Bucket=os.environ["BUCKET"],
        Key=key,
        Body=json.dumps(form).encode(),
        ContentType="application/json",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=os.environ["KEY"],
    )
    aws("dynamodb").put_item(
        TableName=os.environ["TABLE"],
        Item={"FormId": {"S": form_id}, "ReceivedAt": {"S": received_at}, "Document": {"S": key}},
    )
    # The event carries no patient data: it may leave this account.
    sent = aws("events").put_events(
        Entries=[
            {
                "EventBusName": os.environ["BUS"],
                "Source": "intake",
                "DetailType": "FormReceived",
                "Detail": json.dumps(
                    {"formId": form_id, "client": os.environ["CLIENT"], "receivedAt": received_at}
                ),
            }
        ]
    )
    if sent["FailedEntryCount"]:
        raise RuntimeError(f"the bus refused the event: {sent['Entries'][0].get('ErrorCode')}")
    return answer(201, {"formId": form_id, "receivedAt": received_at})


def answer(code, body):
    return {
        "statusCode": code,
        "headers": {"content-type": "application/json", "cache-control": "no-store"},
        "body": json.dumps(body),
    }


def handler(event, context):
    route = event["routeKey"]
    try:
        if route == "POST /forms":
            return take_in(event)
        if route == "GET /status":
            return status()
        return answer(404, {"message": "no such page"})
    except BadForm as problem:
        return answer(400, {"message": str(problem)})
    except Exception:  # the door answers, whatever happens behind it; the log says why
        log.exception("%s failed (request %s)", route, context.aws_request_id)
        return answer(500, {"message": "intake could not do this", "request": context.aws_request_id})
