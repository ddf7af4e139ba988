"""The deployed service, truly called: `release test` leases an account, deploys there and runs this."""

import json
import time

import requests

FORM = {"patient": {"name": "A. Example"}, "answers": {"smoker": False}}


def event_of(sqs, queue, form_id, seconds=20):
    """The FormReceived event of this form, taken from the inbox; None when it does not come in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2).get("Messages", []):
            event = json.loads(message["Body"])
            if event["detail"]["formId"] == form_id:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                return event
    return None


def test_the_service_is_ready(tidegate_outputs):
    reply = requests.get(tidegate_outputs["HealthUrl"], timeout=20)
    assert (reply.status_code, reply.json()["ready"]) == (200, True)


def test_a_form_is_kept_and_its_arrival_is_announced(
    nurse, tidegate_session, tidegate_outputs, tidegate_account, tidegate_region
):
    reply = requests.post(f"{tidegate_outputs['Url']}/forms", json=FORM, headers=nurse, timeout=20)
    assert reply.status_code == 201, reply.text
    form_id = reply.json()["formId"]

    kept = tidegate_session.client("s3").get_object(
        Bucket=tidegate_outputs["BucketName"], Key=f"forms/{form_id}.json"
    )
    assert json.load(kept["Body"]) == FORM
    assert kept["ServerSideEncryption"] == "aws:kms"

    event = event_of(tidegate_session.client("sqs"), tidegate_outputs["InboxUrl"], form_id)
    assert event is not None, "no event arrived within 20 seconds"
    assert (event["account"], event["region"]) == (tidegate_account, tidegate_region)
    assert "A. Example" not in json.dumps(event), "patient data left with the event"


def test_nobody_sends_a_form_without_signing_in(tidegate_outputs):
    assert requests.post(f"{tidegate_outputs['Url']}/forms", json=FORM, timeout=20).status_code == 401


def test_what_is_not_a_form_is_refused(nurse, tidegate_outputs):
    reply = requests.post(f"{tidegate_outputs['Url']}/forms", json={"answers": {}}, headers=nurse, timeout=20)
    assert reply.status_code == 400
