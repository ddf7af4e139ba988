"""notify, in a client's account: keeps a notice of each form that arrived, and announces it.

An event may be delivered more than once; the notice is named after the form, so it is kept once.
"""

import functools
import json
import os

import boto3

VERSION = "1.0.0"


@functools.cache
def aws(service):
    return boto3.client(service)


def keep(form):
    """True when the notice is new."""
    dynamodb = aws("dynamodb")
    try:
        dynamodb.put_item(
            TableName=os.environ["TABLE"],
            Item={
                "NoticeId": {"S": form["formId"]},
                "ArrivedAt": {"S": form["receivedAt"]},
                "Colour": {"S": os.environ["BRAND_COLOUR"]},
            },
            ConditionExpression="attribute_not_exists(NoticeId)",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def announce(form):
    """On the account's own bus; a rule carries it to the service's account."""
    detail = json.dumps({"noticeId": form["formId"], "client": form["client"]})
    sent = aws("events").put_events(
        Entries=[{"Source": "notify", "DetailType": "NoticeKept", "Detail": detail}]
    )
    if sent["FailedEntryCount"]:
        raise RuntimeError(f"the bus refused the event: {sent['Entries'][0].get('ErrorCode')}")


def handler(event, context):
    new = keep(event["detail"])
    announce(event["detail"])
    return {"kept": new}
