"""What stories about single targets have in common."""

from __future__ import annotations

from dataclasses import replace

from pipeline.adapters.simulated.cloud import Break
from pipeline.model import event as e
from pipeline.model.canonical import Json, canonical
from pipeline.model.ending import EndingKind
from pipeline.model.ids import Digest, TargetId
from pipeline.model.plan import Deployable, Plan
from pipeline.model.release import Manifest
from pipeline.model.target_state import TargetState, fold_target
from pipeline.ports import Place
from tests.simulation import SERVICE, Company

STACK = f"svc-{SERVICE}"
TABLE = ("Notes", "AWS::DynamoDB::Table")


def released(company: Company, version: str) -> Plan:
    company.build(version)
    plan = company.plan(version)
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    return plan


def state_of(company: Company, target: TargetId) -> TargetState:
    return fold_target(company.journal.read(e.target_stream(SERVICE, target)))


def canary_place(plan: Plan) -> tuple[TargetId, Place]:
    target = plan.target(plan.waves[1].targets[0])
    return target.id, Place(target.account, target.id.region)


def breaks(company: Company, version: str, place: Place, *hows: str) -> None:
    for how in hows:
        company.cloud.breaks(Break(template=company.client_template(version), how=how, account=place.account))


def open_change_sets(company: Company) -> list[str]:
    """Change sets of ours that are left anywhere."""
    places = [
        Place(c.account, region)
        for c in company.fleet.clients
        for region in c.regions
        if c.account is not None
    ]
    return [
        name
        for place in places
        for name in company.cloud.stacks.list_change_sets(place, STACK)
        if name.startswith("tg-")
    ]


def append(company: Company, target: TargetId, event: e.TargetEvent) -> None:
    stream = e.target_stream(SERVICE, target)
    head = company.journal.head(stream)
    company.journal.append(stream, (event,), expected=head.seq, fence=head.fence, actor="ann")


def with_table(company: Company, version: str) -> None:
    """The version's client template also has a retained table under a literal name."""
    company.build(version)
    manifest = company.manifest(version)
    stack = next(s for s in manifest.stacks if s.role == "client")
    deployable = Deployable(
        release=str(manifest.release),
        digest=manifest.digest,
        commit=manifest.commit,
        template=stack.template,
        functions=stack.functions,
    )
    company.cloud.knows(
        deployable,
        resources=(*stack.resource_types, TABLE),
        outputs=(("Url", "https://{account}.{region}.example.com"),),
        retained=("Notes",),
        named=(("Notes", "notes"),),
    )


class WrittenCompany(Company):
    """Its client templates are stored as artifacts, as a build stores them. Those of `stored` versions have a retained
    table: under the name `literal`, or under one that CloudFormation makes up where that is empty."""

    stored = frozenset({"1.1.0", "1.1.1", "1.2.0"})
    literal = ""

    def body(self, version: str, *, store: bool) -> dict[str, Json]:
        resources: dict[str, Json] = {"Form": {"Type": "AWS::Lambda::Function"}}
        if store:
            properties: Json = {"TableName": self.literal} if self.literal else {}
            resources[TABLE[0]] = {
                "Type": TABLE[1],
                "DeletionPolicy": "Retain",
                "UpdateReplacePolicy": "Retain",
                "Properties": properties,
            }
        return {"Description": version, "Resources": resources}

    def client_template(self, version: str) -> Digest:
        return self._stored(version, store=version in self.stored)

    def manifest(self, version: str) -> Manifest:
        plain = super().manifest(version)
        stacks = tuple(
            replace(stack, template=self.client_template(version)) if stack.role == "client" else stack
            for stack in plain.stacks
        )
        return replace(plain, stacks=stacks)

    def build(self, version: str) -> Manifest:
        manifest = super().build(version)
        if version in self.stored:
            self._teach(version, self.client_template(version))
        return manifest

    def bridges(self, version: str) -> None:
        """The cloud can read the template that runs this version and takes the table back in."""
        self._teach(version, self._stored(version, store=True))

    def _stored(self, version: str, *, store: bool) -> Digest:
        return self.artifacts.put(canonical(self.body(version, store=store)), ("us-east-1",))[0]

    def _teach(self, version: str, template: Digest) -> None:
        manifest = self.manifest(version)
        stack = next(s for s in manifest.stacks if s.role == "client")
        self.cloud.knows(
            Deployable(
                release=str(manifest.release),
                digest=manifest.digest,
                commit=manifest.commit,
                template=template,
                functions=stack.functions,
            ),
            resources=(*stack.resource_types, TABLE),
            outputs=(("Url", "https://{account}.{region}.example.com"),),
            retained=(TABLE[0],),
            named=((TABLE[0], self.literal),) if self.literal else (),
        )
