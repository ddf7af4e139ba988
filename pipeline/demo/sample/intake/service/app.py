"""intake, in the service's own account: counts the forms of each client.

An event may be delivered more than once; its id is remembered for a week, so that it counts once.
"""

import functools
import json
import logging
import os
import time

import boto3

WEEK = 7 * 24 * 3600  # seconds; longer than any queue on the way keeps an event

log = logging.getLogger()
log.setLevel(logging.INFO)


@functools.cache
def dynamodb():
    return boto3.client("dynamodb")


def count(event):
    table = os.environ["TABLE"]
    remember = {
        "TableName": table,
        "Item": {"Id": {"S": f"event#{event['id']}"}, "ForgetAt": {"N": str(int(time.time()) + WEEK)}},
        "ConditionExpression": "attribute_not_exists(Id)",
    }
    add = {
        "TableName": table,
        "Key": {"Id": {"S": f"client#{event['detail']['client']}"}},
        "UpdateExpression": "ADD Forms :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    try:
        dynamodb().transact_write_items(TransactItems=[{"Put": remember}, {"Update": add}])
    except dynamodb().exceptions.TransactionCanceledException as cancelled:
        reasons = [reason.get("Code") for reason in cancelled.response["CancellationReasons"]]
        if "ConditionalCheckFailed" not in reasons:
            raise
        log.info("event %s was counted before", event["id"])


def handler(event, context):
    failed = []
    for record in event["Records"]:
        try:
            count(json.loads(record["body"]))
        except Exception:  # one bad message must not hold up its neighbours; the queue retries it
            log.exception("message %s was not counted", record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
