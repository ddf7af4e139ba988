"""The bench's own AWS: one loopback endpoint with latency, for as many accounts as ask. Standard library only.

It answers what a promotion calls (STS and CloudFormation in query XML, Lambda in REST JSON, CloudWatch in any of
its three protocols, and a plain GET /status as a client's health address), keeps accounts apart by the credential
that signs, and counts. Signatures are not checked: this measures, it does not test. GET /_stats gives the counts.

A poll is a call that asks again: for a change set or a stack that was being waited for (the last answer included),
and for a target's health after the first look at it.

Run as a program it prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from bench_wire import HOME, Answer, Call, Connection, cbor, error, xml

OLD_MARK = "bench@1.0.0 sha256:" + "0" * 64 + " " + "0" * 40


@dataclass(frozen=True)
class Settings:
    """Seconds each; template: the JSON text that GetTemplate returns; code: CodeSha256 of every function."""

    latency: float
    change_set: float
    stack: float
    template: str
    code: str


@dataclass
class Stack:
    """One stack of one account and Region. Times are the loop's; None: not yet."""

    arn: str
    parameters: dict[str, str] = field(default_factory=dict)
    change_set: str = ""
    made: float = 0.0
    executed: float | None = None
    seen_done: bool = False
    executions: int = 0
    outputs_read: int = 0
    alarms_read: int = 0


@dataclass
class Counts:
    calls: Counter[str] = field(default_factory=Counter)
    polls: Counter[str] = field(default_factory=Counter)
    connections: Counter[str] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)
    peak: Counter[str] = field(default_factory=Counter)
    strays: list[str] = field(default_factory=list)
    first: float | None = None
    last: float = 0.0


class Cloud:
    """Every account's stack, and the answers."""

    def __init__(self, settings: Settings, clock: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.latency = settings.latency
        self.counts = Counts()
        self.port = 0
        self._loop = clock
        self._stacks: dict[tuple[str, str], Stack] = {}
        outputs = json.loads(settings.template).get("Outputs", {})
        self._mark = str(outputs.get("TidegateRelease", {}).get("Value", ""))

    def answer(self, call: Call) -> Answer:
        if not call.key:
            return self._unsigned(call)
        now = self._loop.time()
        self.counts.first = self.counts.first if self.counts.first is not None else now
        self.counts.last = now
        if call.service == "lambda":
            return self._function(call)
        if call.service == "monitoring":
            return self._alarms(call)
        action = call.params.get("Action", "?")
        do = getattr(self, f"_{action.lower()}", None)
        if do is None:
            self.counts.calls[f"unknown {call.service} {action}"] += 1
            return error("InvalidAction", f"{action} is not served here")
        if action not in ("DescribeStacks", "DescribeChangeSet"):
            self.counts.calls[action] += 1
        answer: Answer = do(call)
        return answer

    def connected(self, kind: str, by: int) -> None:
        counts = self.counts
        counts.open[kind] += by
        counts.connections[kind] += max(by, 0)
        counts.peak[kind] = max(counts.peak[kind], counts.open[kind])

    def stats(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "calls": dict(sorted(counts.calls.items())),
            "polls": dict(sorted(counts.polls.items())),
            "connections": dict(sorted(counts.connections.items())),
            "connections_open_at_once": dict(sorted(counts.peak.items())),
            "executions": sum(stack.executions for stack in self._stacks.values()),
            "accounts_executed_once": sum(stack.executions == 1 for stack in self._stacks.values()),
            "accounts": len({account for account, _ in self._stacks}),
            "strays": counts.strays[:10],
            "seconds": round(counts.last - (counts.first or counts.last), 3),
        }

    # --- who asks ------------------------------------------------------------------------------

    def _unsigned(self, call: Call) -> Answer:
        if call.path == "/_stats":
            return 200, "application/json", json.dumps(self.stats()).encode()
        if call.path == "/status":
            return 200, "text/plain", b"ok"
        return error("MissingAuthenticationToken", "unsigned")

    def _stack(self, call: Call) -> Stack:
        key = (call.account, call.region)
        if key not in self._stacks:
            arn = arn_of(call.account, call.region)
            self._stacks[key] = Stack(arn=arn, parameters={"Client": f"c{call.account}"})
        return self._stacks[key]

    def _expect(self, call: Call, what: str, found: str, wanted: str) -> None:
        if found != wanted:
            self.counts.strays.append(f"{what} in {call.account}: {found} in place of {wanted}")

    # --- STS -----------------------------------------------------------------------------------

    def _getcalleridentity(self, _: Call) -> Answer:
        arn = f"arn:aws:iam::{HOME}:user/bench"
        return xml("GetCallerIdentity", f"<Arn>{arn}</Arn><UserId>A</UserId><Account>{HOME}</Account>")

    def _assumerole(self, call: Call) -> Answer:
        role = call.params["RoleArn"]
        account, name = role.split(":")[4], role.rsplit("/", 1)[1]
        if name == "TidegateDeploy":
            self._expect(call, "ExternalId", call.params.get("ExternalId", ""), f"x-{account}")
        expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        arn = f"arn:aws:sts::{account}:assumed-role/{name}/{call.params['RoleSessionName']}"
        return xml(
            "AssumeRole",
            f"<Credentials><AccessKeyId>ASIA{account}0000</AccessKeyId>"
            f"<SecretAccessKey>{'s' * 40}</SecretAccessKey><SessionToken>{'t' * 300}</SessionToken>"
            f"<Expiration>{expires}</Expiration></Credentials><AssumedRoleUser><Arn>{arn}</Arn>"
            f"<AssumedRoleId>AROA:{account}</AssumedRoleId></AssumedRoleUser>",
        )

    # --- CloudFormation ------------------------------------------------------------------------

    def _describestacks(self, call: Call) -> Answer:
        stack = self._stack(call)
        done = stack.executed is None or self._loop.time() - stack.executed >= self.settings.stack
        waiting = stack.executed is not None and not stack.seen_done
        stack.outputs_read += stack.seen_done
        again = waiting or stack.outputs_read > 1
        (self.counts.polls if again else self.counts.calls)["DescribeStacks"] += 1
        stack.seen_done = stack.seen_done or (waiting and done)
        mark = OLD_MARK if stack.executed is None or not done else self._mark
        outputs = {"TidegateRelease": mark, "HealthUrl": f"http://127.0.0.1:{self.port}/status"}
        return xml(
            "DescribeStacks",
            "<Stacks><member>"
            f"<StackId>{stack.arn}</StackId><StackName>svc-bench</StackName>"
            f"<StackStatus>{'UPDATE_COMPLETE' if done else 'UPDATE_IN_PROGRESS'}</StackStatus>"
            "<CreationTime>2026-01-01T00:00:00Z</CreationTime>"
            + _members("Parameters", "ParameterKey", "ParameterValue", stack.parameters)
            + _members("Outputs", "OutputKey", "OutputValue", outputs)
            + "</member></Stacks>",
        )

    def _createchangeset(self, call: Call) -> Answer:
        stack = self._stack(call)
        given = {
            call.params[f"Parameters.member.{n}.ParameterKey"]: call.params[
                f"Parameters.member.{n}.ParameterValue"
            ]
            for n in range(1, 20)
            if f"Parameters.member.{n}.ParameterKey" in call.params
        }
        self._expect(
            call, "RoleARN", call.params["RoleARN"], f"arn:aws:iam::{call.account}:role/TidegateExecution"
        )
        self._expect(call, "Client", given.get("Client", ""), f"c{call.account}")
        stack.change_set = (
            f"arn:aws:cloudformation:{call.region}:{call.account}:changeSet/"
            f"{call.params['ChangeSetName']}/{_uuid(call.account)}"
        )
        stack.made = self._loop.time()
        return xml("CreateChangeSet", f"<Id>{stack.change_set}</Id><StackId>{stack.arn}</StackId>")

    def _describechangeset(self, call: Call) -> Answer:
        stack = self._stack(call)
        self.counts.polls["DescribeChangeSet"] += 1
        self._expect(call, "ChangeSetName", call.params["ChangeSetName"], stack.change_set)
        ready = self._loop.time() - stack.made >= self.settings.change_set
        changes = "".join(
            "<member><Type>Resource</Type><ResourceChange><Action>Modify</Action>"
            f"<LogicalResourceId>{name}</LogicalResourceId><ResourceType>{kind}</ResourceType>"
            "<Replacement>False</Replacement><Scope><member>Properties</member></Scope></ResourceChange></member>"
            for name, kind in CHANGES
        )
        return xml(
            "DescribeChangeSet",
            f"<ChangeSetName>{stack.change_set.split('/')[1]}</ChangeSetName>"
            f"<ChangeSetId>{stack.change_set}</ChangeSetId><StackId>{stack.arn}</StackId>"
            f"<StackName>svc-bench</StackName><Status>{'CREATE_COMPLETE' if ready else 'CREATE_IN_PROGRESS'}"
            f"</Status><ExecutionStatus>{'AVAILABLE' if ready else 'UNAVAILABLE'}</ExecutionStatus>"
            f"<Changes>{changes if ready else ''}</Changes>",
        )

    def _executechangeset(self, call: Call) -> Answer:
        stack = self._stack(call)
        self._expect(call, "ChangeSetName", call.params["ChangeSetName"], stack.change_set)
        stack.executed = self._loop.time()
        stack.executions += 1
        return xml("ExecuteChangeSet", "")

    def _gettemplate(self, _: Call) -> Answer:
        return xml("GetTemplate", f"<TemplateBody>{escape(self.settings.template)}</TemplateBody>")

    def _liststackresources(self, _: Call) -> Answer:
        rows = "".join(
            f"<member><LogicalResourceId>{name}</LogicalResourceId><ResourceType>{kind}</ResourceType>"
            f"<PhysicalResourceId>svc-bench-{name.lower()}</PhysicalResourceId>"
            "<ResourceStatus>UPDATE_COMPLETE</ResourceStatus>"
            "<LastUpdatedTimestamp>2026-01-01T00:00:00Z</LastUpdatedTimestamp></member>"
            for name, kind in RESOURCES
        )
        return xml("ListStackResources", f"<StackResourceSummaries>{rows}</StackResourceSummaries>")

    # --- Lambda and CloudWatch -----------------------------------------------------------------

    def _function(self, call: Call) -> Answer:
        self.counts.calls["GetFunctionConfiguration"] += 1
        name = unquote(call.path.split("/functions/")[1].split("/")[0])
        arn = f"arn:aws:lambda:{call.region}:{call.account}:function:{name}"
        answer = {"FunctionName": name, "FunctionArn": arn, "CodeSha256": self.settings.code}
        return 200, "application/json", json.dumps(answer).encode()

    def _alarms(self, call: Call) -> Answer:
        stack = self._stack(call)
        stack.alarms_read += 1
        (self.counts.polls if stack.alarms_read > 1 else self.counts.calls)["DescribeAlarms"] += 1
        name = "svc-bench-errors"
        arn = f"arn:aws:cloudwatch:{call.region}:{call.account}:alarm:{name}"
        alarm = {"AlarmName": name, "AlarmArn": arn, "StateValue": "OK"}
        answer = {"MetricAlarms": [alarm], "CompositeAlarms": []}
        if call.headers.get("smithy-protocol") == "rpc-v2-cbor":
            return 200, "application/cbor", cbor(answer)
        if "x-amz-target" in call.headers:
            return 200, "application/x-amz-json-1.0", json.dumps(answer).encode()
        row = "".join(f"<{key}>{value}</{key}>" for key, value in alarm.items())
        return xml("DescribeAlarms", f"<MetricAlarms><member>{row}</member></MetricAlarms>")


CHANGES = (("Form", "AWS::Lambda::Function"), ("TidegateRelease", "AWS::SSM::Parameter"))
RESOURCES = (
    ("Form", "AWS::Lambda::Function"),
    ("Errors", "AWS::CloudWatch::Alarm"),
    ("TidegateRelease", "AWS::SSM::Parameter"),
    *((f"Topic{n}", "AWS::SNS::Topic") for n in range(17)),
)
"""As many as a small real stack has, so that answers have a realistic size."""


def arn_of(account: str, region: str) -> str:
    return f"arn:aws:cloudformation:{region}:{account}:stack/svc-bench/{_uuid(account)}"


def _uuid(account: str) -> str:
    return f"00000000-0000-4000-8000-{account}"


def _members(name: str, key: str, value: str, pairs: dict[str, str]) -> str:
    rows = "".join(
        f"<member><{key}>{escape(k)}</{key}><{value}>{escape(v)}</{value}></member>" for k, v in pairs.items()
    )
    return f"<{name}>{rows}</{name}>"


async def serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    cloud = Cloud(settings, loop)
    server = await loop.create_server(lambda: Connection(cloud), "127.0.0.1", 0, backlog=1024)
    cloud.port = server.sockets[0].getsockname()[1]
    print(cloud.port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, required=True)
    parser.add_argument("--change-set", type=float, required=True)
    parser.add_argument("--stack", type=float, required=True)
    parser.add_argument("--code", required=True)
    parser.add_argument("--template", required=True, help="a file")
    arguments = parser.parse_args()
    asyncio.run(
        serve(
            Settings(
                latency=arguments.latency,
                change_set=arguments.change_set,
                stack=arguments.stack,
                template=Path(arguments.template).read_text(encoding="ascii"),
                code=arguments.code,
            )
        )
    )


if __name__ == "__main__":
    main()
