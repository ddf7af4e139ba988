"""notify, in a client's account: keeps a notice of each form that arrived, and tells the notify service.

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


def tell_service(form):
    bus = os.environ["SERVICE_BUS"]
    if not bus:
        return
    detail = json.dumps({"noticeId": form["formId"], "client": form["client"]})
    sent = aws("events").put_events(
        Entries=[{"EventBusName": bus, "Source": "notify", "DetailType": "NoticeKept", "Detail": detail}]
    )
    if sent["FailedEntryCount"]:
        raise RuntimeError(f"the service's bus refused the event: {sent['Entries'][0].get('ErrorCode')}")


def handler(event, context):
    new = keep(event["detail"])
    tell_service(event["detail"])
    return {"kept": new}
