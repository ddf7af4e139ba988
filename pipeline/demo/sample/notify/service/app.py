"""notify, in the service's own account: notes which client was last told, and when."""

import functools
import os

import boto3


@functools.cache
def dynamodb():
    return boto3.client("dynamodb")


def handler(event, context):
    # The same event twice writes the same item twice: nothing to guard against.
    dynamodb().put_item(
        TableName=os.environ["TABLE"],
        Item={
            "Client": {"S": event["detail"]["client"]},
            "NoticeId": {"S": event["detail"]["noticeId"]},
            "At": {"S": event["time"]},
        },
    )
