"""Files that are right become exactly the model they describe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.config import find_root, load_fleet, load_project, load_service, schema
from pipeline.config.tables import FleetFile, ReleaseFile
from pipeline.errors import NotFound
from pipeline.model.fleet import Client, Fleet, FleetService, Freeze, Pin, Tools, Window
from pipeline.model.ids import AccountId
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec
from pipeline.model.policy import (
    REST,
    AlarmsBefore,
    CanaryPolicy,
    HealthPolicy,
    OnFail,
    OnFailPolicy,
    Pace,
    ServiceWavePolicy,
    WavePolicy,
    WaveSize,
)
from pipeline.model.release import Contract, ServiceSpec, TestPolicy

SAMPLE = Path(__file__).parents[2] / "pipeline" / "demo" / "sample"

FLEET = """
[tools]
management = "111122223333"
account = "444455556666"
region = "eu-central-1"
release_key = "arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
organization = "o-a1b2c3d4e5"
journal_key = "arn:aws:kms:eu-central-1:444455556666:key/5678abcd-12ab-34cd-56ef-1234567890ab"
[accounts]
email = "qa@example.com"
[health]
allow = ["*.execute-api.*.amazonaws.com", "API.example.com", "localhost"]
[[service]]
name = "intake"
account = "210987654321"
regions = ["us-east-1"]
path = "../intake-sources"
[[service]]
name = "notify"
account = ""
regions = ["us-east-1"]
[[client]]
name = "acme"
account = "012345670123"
email = "clients+acme@example.com"
regions = ["us-east-1", "eu-west-1"]
services = ["intake", "notify"]
ring = "early"
window = { days = ["mon", "tue"], from = "22:00", to = 04:00:00, timezone = "America/New_York" }
cosmetic = { Title = "Acme", BrandColour = "#0a7" }
pins = [{ service = "notify", reason = "their audit", until = 2026-12-31 }]
suspended = true
[[client]]
name = "birch"
regions = ["us-east-1"]
size = "small"
canary = false
[[freeze]]
reason = "year's end"
from = 2026-12-24
until = "2026-12-31"
timezone = "America/New_York"
[[freeze]]
client = "acme"
service = "notify"
reason = "their launch"
from = 2026-06-01T08:00:00+02:00
until = "2026-06-02T08:00"
"""

RELEASE = """
[service]
name = "intake"
build = "make bundle"
[stack.service]
template = "service.yaml"
[stack.client]
template = "stacks/client.yaml"
[contract]
openapi = "api/openapi.yaml"
events = "events/*.schema.json"
sdk = "sdk/intake"
tests = "tests/contract"
[test]
accounts = 2
tests = "tests/integration"
[health]
url_output = "HealthUrl"
path = "/health?deep=1"
expect = 204
alarms = false
deadline = "90s"
smoke = "Smoke"
[rollback]
safe = false
[waves]
service = { bake = "5m" }
canary = { clients = 4, bake = "1h30m", min_requests = 100, extend = "3h" }
sizes = ["10%", 5, "ring:wide", "rest"]
bake = "1d2h3m4s"
tolerance = 1
max_skipped = 4
max_in_flight = 7
pace = "strict"
on_fail = { service = "hold", canary = "rollback", wave = "rollback" }
approvals = [1, 3]
approval_life = "8h"
waiting_deadline = "3d"
alarms_before = "record"
max_skew = 2
max_deferral = "10d"
emergency_bake = "2m"
[judge]
alpha = 0.01
looks = 4
lag = "3m"
[[judge.metric]]
name = "errors"
kind = "rate"
namespace = "AWS/Lambda"
errors = "Errors"
requests = "Invocations"
dimensions = { FunctionName = "{output:FormFunction}" }
allowed = 1.5
[[judge.metric]]
name = "slow"
kind = "latency"
namespace = "AWS/ApiGateway"
latency = "Latency"
quantile = "p99"
critical = false
"""


def service_folder(folder: Path, release_toml: str) -> Path:
    for name in ("stacks/client.yaml", "service.yaml", "api/openapi.yaml", "events/form.schema.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}\n")
    for name in ("sdk/intake", "tests/contract", "tests/integration"):
        (folder / name).mkdir(parents=True)
    (folder / "release.toml").write_text(release_toml)
    return folder


def test_a_fleet_with_every_key_becomes_the_model(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(FLEET)
    assert load_fleet(tmp_path / "fleet.toml") == Fleet(
        email="qa@example.com",
        tools=Tools(
            management=AccountId("111122223333"),
            account=AccountId("444455556666"),
            region="eu-central-1",
            release_key="arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            organization="o-a1b2c3d4e5",
            journal_key="arn:aws:kms:eu-central-1:444455556666:key/5678abcd-12ab-34cd-56ef-1234567890ab",
        ),
        services=(
            FleetService(
                name="intake",
                account=AccountId("210987654321"),
                regions=("us-east-1",),
                path="../intake-sources",
            ),
            FleetService(name="notify", account=None, regions=("us-east-1",), path="notify"),
        ),
        clients=(
            Client(
                name="acme",
                account=AccountId("012345670123"),
                email="clients+acme@example.com",
                regions=("us-east-1", "eu-west-1"),
                services=("intake", "notify"),
                ring="early",
                window=Window(days=("mon", "tue"), start="22:00", end="04:00", timezone="America/New_York"),
                cosmetic=(("BrandColour", "#0a7"), ("Title", "Acme")),
                pins=(Pin(service="notify", reason="their audit", until="2026-12-31"),),
                suspended=True,
            ),
            Client(
                name="birch", account=None, regions=("us-east-1",), services=(), size="small", canary=False
            ),
        ),
        health_hosts=("*.execute-api.*.amazonaws.com", "api.example.com", "localhost"),
        freezes=(
            Freeze(
                reason="year's end",
                start=datetime(2026, 12, 24, 5, tzinfo=UTC),
                end=datetime(2027, 1, 1, 5, tzinfo=UTC),
            ),
            Freeze(
                reason="their launch",
                start=datetime(2026, 6, 1, 6, tzinfo=UTC),
                end=datetime(2026, 6, 2, 8, tzinfo=UTC),
                client="acme",
                service="notify",
            ),
        ),
    )


def test_a_release_file_with_every_key_becomes_the_model(tmp_path: Path) -> None:
    assert load_service(service_folder(tmp_path / "intake", RELEASE)) == ServiceSpec(
        name="intake",
        build="make bundle",
        service_template="service.yaml",
        client_template="stacks/client.yaml",
        contract=Contract(
            openapi="api/openapi.yaml",
            events="events/*.schema.json",
            sdk="sdk/intake",
            tests="tests/contract",
        ),
        test=TestPolicy(accounts=2, tests="tests/integration"),
        health=HealthPolicy(
            url_output="HealthUrl",
            path="/health?deep=1",
            expect=204,
            alarms=False,
            deadline=timedelta(seconds=90),
            smoke="Smoke",
        ),
        rollback_safe=False,
        waves=WavePolicy(
            service=ServiceWavePolicy(bake=timedelta(minutes=5)),
            canary=CanaryPolicy(
                clients=4, bake=timedelta(minutes=90), min_requests=100, extend=timedelta(hours=3)
            ),
            sizes=(WaveSize(10, "%"), WaveSize(5, "clients"), WaveSize(0, "ring", "wide"), REST),
            bake=timedelta(days=1, hours=2, minutes=3, seconds=4),
            tolerance=1,
            max_skipped=4,
            max_in_flight=7,
            pace=Pace.STRICT,
            on_fail=OnFailPolicy(service=OnFail.HOLD, canary=OnFail.ROLLBACK, wave=OnFail.ROLLBACK),
            approvals=(1, 3),
            approval_life=timedelta(hours=8),
            waiting_deadline=timedelta(days=3),
            alarms_before=AlarmsBefore.RECORD,
            max_skew=2,
            max_deferral=timedelta(days=10),
            emergency_bake=timedelta(minutes=2),
            judge=JudgePolicy(
                metrics=(
                    MetricSpec(
                        name="errors",
                        kind=MetricKind.RATE,
                        namespace="AWS/Lambda",
                        errors="Errors",
                        requests="Invocations",
                        dimensions=(("FunctionName", "{output:FormFunction}"),),
                        allowed_percent=150,
                    ),
                    MetricSpec(
                        name="slow",
                        kind=MetricKind.LATENCY,
                        namespace="AWS/ApiGateway",
                        level="Latency",
                        quantile="p99",
                        critical=False,
                    ),
                ),
                alpha_permille=10,
                looks=4,
                lag=timedelta(minutes=3),
            ),
        ),
    )


def test_what_is_left_out_has_the_defaults_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "client.yaml").write_text("{}")
    (tmp_path / "release.toml").write_text(
        '[service]\nname="intake"\n[stack.client]\ntemplate="client.yaml"\n'
    )
    assert load_service(tmp_path) == ServiceSpec(name="intake", client_template="client.yaml")


def test_a_file_with_a_byte_order_mark_is_read_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_bytes(b'\xef\xbb\xbf[accounts]\r\nemail = "qa@example.com"\r\n')
    assert load_fleet(tmp_path / "fleet.toml").email == "qa@example.com"


def test_a_project_is_found_from_any_folder_inside_it(tmp_path: Path) -> None:
    inside = service_folder(tmp_path / "intake", RELEASE) / "tests" / "integration"
    (tmp_path / "fleet.toml").write_text(
        '[accounts]\nemail = "qa@example.com"\n[[service]]\nname = "intake"\nregions = ["us-east-1"]\n'
    )
    assert find_root(inside) == tmp_path.resolve()
    project = load_project(inside)
    assert project.root == tmp_path.resolve()
    assert project.folder("intake") == (tmp_path / "intake").resolve()
    assert project.spec("intake").build == "make bundle"
    with pytest.raises(NotFound, match="names no service"):
        project.spec("intke")


def test_the_sample_project_is_accepted() -> None:
    project = load_project(SAMPLE)
    assert [name for name, _, _ in project.specs] == ["intake", "notify"]
    assert len(project.fleet.clients) == 12
    assert len({region for client in project.fleet.clients for region in client.regions}) == 3


def test_the_schemas_name_every_key_and_give_defaults_as_they_are_written() -> None:
    fleet, release = schema("fleet"), schema("release")
    assert set(fleet["properties"]) == set(FleetFile.model_fields)
    assert set(release["properties"]) == set(ReleaseFile.model_fields)
    assert set(fleet["$defs"]["WindowTable"]["properties"]) == {"days", "from", "to", "timezone"}
    waves = release["$defs"]["WavesTable"]["properties"]
    assert (waves["bake"]["default"], waves["sizes"]["default"]) == ("2h", ["rest"])
    assert fleet["$defs"]["ClientTable"]["additionalProperties"] is False
