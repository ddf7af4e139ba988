"""Floor 3, config: the tables of fleet.toml and release.toml as pydantic models; also the source of their schemas.

These raw tables never leave this room: `fleet_file` and `service_file` turn them into the frozen model.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from pipeline.config import values as v
from pipeline.config.judge_table import JudgeTable
from pipeline.model.policy import REST

__all__ = ["FleetFile", "ReleaseFile"]

Accounts = Annotated[
    int, PlainValidator(v.whole(1, 1000)), Field(json_schema_extra={"type": "integer", "minimum": 1})
]
AtLeastOne = Annotated[
    int, PlainValidator(v.whole(1)), Field(json_schema_extra={"type": "integer", "minimum": 1})
]
Count = Annotated[int, PlainValidator(v.whole(0)), Field(json_schema_extra={"type": "integer", "minimum": 0})]
HttpStatus = Annotated[
    int,
    PlainValidator(v.whole(100, 599)),
    Field(json_schema_extra={"type": "integer", "minimum": 100, "maximum": 599}),
]
OnFailWord = Literal["rollback", "hold"]


class Table(BaseModel):
    """Strict: nothing is converted, and a key we do not know is a fault."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=False)


# --- fleet.toml ------------------------------------------------------------------------------------


class ToolsTable(Table):
    management: v.Account = None
    account: v.Account = None
    region: v.RegionName = "us-east-1"
    release_key: v.KeyArn = ""
    journal_key: v.KeyArn = ""
    organization: v.OrganizationId = ""


class AccountsTable(Table):
    email: v.Mailbox


class AllowTable(Table):
    allow: list[v.HostPattern] = []


class ServiceTable(Table):
    name: v.Name
    account: v.Account = None
    regions: list[v.RegionName] = Field(min_length=1)
    path: v.SourcePath = ""


class WindowTable(Table):
    days: list[v.Day] = Field(min_length=1)
    start: v.LocalTime = Field(alias="from")
    end: v.LocalTime = Field(alias="to")
    timezone: v.Timezone


class PinTable(Table):
    service: v.Name
    reason: v.Reason
    until: v.IsoDay


class ClientTable(Table):
    name: v.Name
    account: v.Account = None
    email: v.Email = ""
    regions: list[v.RegionName] = Field(min_length=1)
    services: list[v.Name] = []
    ring: v.Name = "default"
    window: WindowTable | None = None
    cosmetic: dict[v.ParameterName, v.Text] = {}
    pins: list[PinTable] = []
    suspended: bool = False
    size: v.SizeWord = ""
    canary: bool = True


class FreezeTable(Table):
    """Without client and service the whole fleet is frozen."""

    client: v.Name | None = None
    service: v.Name | None = None
    reason: v.Reason
    start: v.Moment = Field(alias="from")
    end: v.Moment = Field(alias="until")
    timezone: v.Timezone = "UTC"


class FleetFile(Table):
    tools: ToolsTable = ToolsTable()
    accounts: AccountsTable
    health: AllowTable = AllowTable()
    service: list[ServiceTable] = []
    client: list[ClientTable] = []
    freeze: list[FreezeTable] = []


# --- release.toml ----------------------------------------------------------------------------------


class NameTable(Table):
    name: v.Name
    build: v.Text = ""


class TemplateTable(Table):
    template: v.RelativePath


class StackTable(Table):
    service: TemplateTable | None = None
    client: TemplateTable | None = None


class ContractTable(Table):
    openapi: v.RelativePath = ""
    events: v.RelativePath = ""
    sdk: v.RelativePath = ""
    tests: v.RelativePath = ""


class TestTable(Table):
    __test__ = False
    accounts: Accounts = 1
    tests: v.RelativePath = ""


class HealthTable(Table):
    url_output: v.ParameterName = ""
    path: v.UrlPath = ""
    expect: HttpStatus = 200
    alarms: bool = True
    deadline: v.Duration = timedelta(minutes=10)
    smoke: v.SmokeName = ""


class ServiceWaveTable(Table):
    bake: v.Duration = timedelta(0)


class CanaryTable(Table):
    clients: AtLeastOne = 3
    bake: v.Duration = timedelta(hours=1)
    min_requests: Count = 0
    extend: v.Duration | None = None


class OnFailTable(Table):
    service: OnFailWord = "rollback"
    canary: OnFailWord = "rollback"
    wave: OnFailWord = "hold"


class WavesTable(Table):
    service: ServiceWaveTable = ServiceWaveTable()
    canary: CanaryTable = CanaryTable()
    sizes: list[v.Size] = Field(default=[REST], min_length=1)
    bake: v.Duration = timedelta(hours=2)
    tolerance: Count = 0
    max_skipped: Count = 5
    max_in_flight: AtLeastOne = 50
    pace: Literal["won", "strict", "full"] = "won"
    on_fail: OnFailTable = OnFailTable()
    approvals: list[Count] = []
    approval_life: v.Duration = timedelta(hours=24)
    waiting_deadline: v.Duration = timedelta(days=7)
    alarms_before: Literal["block", "record"] = "block"
    max_skew: Count = 3
    max_deferral: v.Duration = timedelta(days=14)
    emergency_bake: v.Duration = timedelta(minutes=10)


class RollbackTable(Table):
    safe: bool = True


class ReleaseFile(Table):
    service: NameTable
    stack: StackTable
    contract: ContractTable = ContractTable()
    test: TestTable = TestTable()
    health: HealthTable = HealthTable()
    waves: WavesTable = WavesTable()
    rollback: RollbackTable = RollbackTable()
    judge: JudgeTable = JudgeTable()
