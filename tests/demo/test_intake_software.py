"""The four versions of intake, run: what is broken is broken in the software, and nowhere else."""

import json
import tomllib

import pytest

from pipeline.demo import project_files

from .software import CONTEXT, READY, UUID, Calls, environment_of, intake, request, source_of
from .yaml_tags import template

FLEET = tomllib.loads(
    next(file.content for file in project_files(sample=True) if file.path == "fleet.toml").decode()
)
COLOURS = {client["name"]: client["cosmetic"]["BrandColour"] for client in FLEET["client"]}


def set_environment(monkeypatch: pytest.MonkeyPatch, version: str, **values: str) -> None:
    settings = environment_of("intake/client.yaml", "FormFunction", version, **values)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def status_everywhere(monkeypatch: pytest.MonkeyPatch, version: str) -> dict[str, int]:
    statuses = {}
    for client, colour in COLOURS.items():
        set_environment(monkeypatch, version, CLIENT=client, BRAND_COLOUR=colour)
        reply = intake(version, Calls(describe_table=READY)).handler(request("GET /status"), CONTEXT)
        statuses[client] = reply["statusCode"]
    return statuses


@pytest.mark.parametrize("version", ["1.0.0", "1.3.0"])
def test_a_well_version_is_ready_at_every_client(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status_everywhere(monkeypatch, version) == dict.fromkeys(COLOURS, 200)


def test_1_1_0_fails_at_every_client(monkeypatch: pytest.MonkeyPatch) -> None:
    assert status_everywhere(monkeypatch, "1.1.0") == dict.fromkeys(COLOURS, 500)


def test_1_2_0_fails_only_at_the_client_with_the_short_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    assert status_everywhere(monkeypatch, "1.2.0") == dict.fromkeys(COLOURS, 200) | {"maple": 500}


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1.2.0", "1.3.0"])
def test_every_version_is_ready_in_a_test_account(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test account has the template's own colour: so the sick versions pass `release test`, as such faults do."""
    parameters = template(source_of("intake/client.yaml", version))["Parameters"]
    set_environment(monkeypatch, version, CLIENT="test", BRAND_COLOUR=parameters["BrandColour"]["Default"])
    reply = intake(version, Calls(describe_table=READY)).handler(request("GET /status"), CONTEXT)
    assert (reply["statusCode"], json.loads(reply["body"])) == (
        200,
        {"service": "intake", "version": version, "client": "test", "ready": True},
    )


def test_a_copy_without_its_table_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, "1.0.0")
    calls = Calls(describe_table={"Table": {"TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS"}})
    assert intake("1.0.0", calls).handler(request("GET /status"), CONTEXT)["statusCode"] == 503


def test_a_failure_is_answered_without_saying_what_is_inside(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_environment(monkeypatch, "1.0.0")
    reply = intake("1.0.0", Calls(describe_table=RuntimeError("secret"))).handler(
        request("GET /status"), CONTEXT
    )
    assert (reply["statusCode"], json.loads(reply["body"])) == (
        500,
        {"message": "intake could not do this", "request": "request-1"},
    )
    assert "secret" in caplog.text


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1.2.0", "1.3.0"])
def test_a_form_is_kept_then_announced_without_patient_data(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, version, CLIENT="birch", BUCKET="documents", KEY="the-arn", TABLE="forms")
    calls = Calls(put_events={"FailedEntryCount": 0})
    form = {"patient": {"name": "A. Example"}}
    reply = intake(version, calls).handler(request("POST /forms", form), CONTEXT)

    assert reply["statusCode"] == 201
    form_id = json.loads(reply["body"])["formId"]
    assert UUID.fullmatch(form_id)
    (put, document), (keep, item), (tell, events) = calls.made
    assert (put, keep, tell) == ("put_object", "put_item", "put_events")
    assert json.loads(document["Body"]) == form
    assert (document["ServerSideEncryption"], document["SSEKMSKeyId"]) == ("aws:kms", "the-arn")
    assert item["Item"]["FormId"] == {"S": form_id}
    assert "A. Example" not in json.dumps([item, events])
    detail = json.loads(events["Entries"][0]["Detail"])
    schema = json.loads(source_of("intake/events/form-received.schema.json"))
    assert detail.keys() == set(schema["required"])


def test_1_3_0_gives_a_receipt_and_changes_nothing_else_of_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = {}
    for version in ("1.2.0", "1.3.0"):
        set_environment(monkeypatch, version)
        module = intake(version, Calls(put_events={"FailedEntryCount": 0}))
        answers[version] = json.loads(
            module.handler(request("POST /forms", {"patient": {}}), CONTEXT)["body"]
        )
    assert answers["1.3.0"].keys() - answers["1.2.0"].keys() == {"receipt"}
    form_id = answers["1.3.0"]["formId"]
    assert answers["1.3.0"]["receipt"] == f"{form_id[:4]}-{form_id[4:8]}".upper()


def test_an_event_that_the_bus_refuses_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, "1.0.0")
    calls = Calls(put_events={"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]})
    reply = intake("1.0.0", calls).handler(request("POST /forms", {"patient": {}}), CONTEXT)
    assert reply["statusCode"] == 500


@pytest.mark.parametrize("body", [None, [], "form", {"answers": {}}, {"patient": "A. Example"}])
def test_what_is_not_a_form_is_refused_and_nothing_is_kept(
    body: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, "1.0.0")
    calls = Calls()
    reply = intake("1.0.0", calls).handler(request("POST /forms", body), CONTEXT)
    assert (reply["statusCode"], calls.made) == (400, [])


@pytest.mark.parametrize(
    ("colour", "text"), [("#aed581", "#000000"), ("#26418f", "#ffffff"), ("#c33", "#ffffff")]
)
def test_1_3_0_welcomes_in_the_clients_colour(
    colour: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, "1.3.0", CLIENT="maple", BRAND_COLOUR=colour)
    reply = intake("1.3.0", Calls()).handler(request("GET /"), CONTEXT)
    assert (reply["statusCode"], reply["headers"]["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"background:{colour};color:{text}" in reply["body"]
    assert "Welcome to maple" in reply["body"]
