"""Which finding a signed waiver covers, and who is stopped by what it does not cover."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.guard import GuardFinding, findings
from pipeline.decide.provenance import signed_digest
from pipeline.decide.stateful import STATEFUL_TYPES
from pipeline.decide.waivers import (
    Apart,
    covered,
    covers,
    set_apart,
    signature_of,
    waive_command,
    waiver_digest,
    ways_to_accept,
)
from pipeline.model.ids import AccountId, ReleaseName, TargetId, digest
from pipeline.model.plan import Deployable, EffectKind, PlannedTarget, SkippedTarget
from pipeline.model.stack import ResourceChange, effect_of
from pipeline.model.waiver import (
    WAIVER_TYPE,
    SignedWaiver,
    Waiver,
    signed_waiver_from_json,
    signed_waiver_to_json,
    waiver_bytes,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RELEASE = ReleaseName("intake", "1.4.0")
EFFECT = digest("1" * 64)
OTHER_EFFECT = digest("2" * 64)
ACME = TargetId("acme", "us-east-1")
FINDING = GuardFinding(
    logical_id="Forms",
    resource_type="AWS::DynamoDB::Table",
    rule="removal",
    sentence="would be deleted with its data",
    physical_id="acme-forms",
    effect=EFFECT,
)
WAIVER = Waiver(
    release=RELEASE,
    client="acme",
    logical_id="Forms",
    physical_id="acme-forms",
    rule="removal",
    reason="acme has left",
    approver="arn:aws:iam::111111111111:user/ann",
    expires=NOW + timedelta(days=7),
)
OF_GROUP = replace(WAIVER, client="", effect=EFFECT, physical_id="*")


def signed(waiver: Waiver) -> SignedWaiver:
    return SignedWaiver(waiver=waiver, key="arn:aws:kms:us-east-1:222222222222:key/1", signature="c2ln")


def planned(target: TargetId = ACME, effect: EffectKind = EffectKind.UPDATE) -> PlannedTarget:
    return PlannedTarget(
        id=target,
        account=AccountId("111111111111"),
        stack="svc-intake",
        desired=Deployable(
            release=str(RELEASE), digest=digest("3" * 64), commit="c", template=digest("4" * 64)
        ),
        effect=effect,
    )


def fits(waiver: Waiver, finding: GuardFinding = FINDING, target: TargetId = ACME) -> bool:
    return covers(waiver, finding, RELEASE, target, NOW)


# --- exactly, or not at all -------------------------------------------------------------------------


def test_a_waiver_covers_the_one_finding_that_it_names() -> None:
    assert covered((FINDING,), (signed(WAIVER),), planned(), NOW) == ((), (signed(WAIVER),))


@pytest.mark.parametrize(
    "change",
    [
        {"release": ReleaseName("intake", "1.4.1")},
        {"release": ReleaseName("notify", "1.4.0")},
        {"client": "acmee"},
        {"client": "ACME"},
        {"client": "@intake"},
        {"logical_id": "Form"},
        {"logical_id": "forms"},
        {"physical_id": "acme-forms-2"},
        {"rule": "replacement"},
        {"rule": "property:TimeToLiveSpecification"},
        {"expires": NOW},
        {"expires": NOW - timedelta(seconds=1)},
    ],
)
def test_a_waiver_that_differs_in_anything_covers_nothing(change: dict[str, object]) -> None:
    other = signed(replace(WAIVER, **change))  # type: ignore[arg-type]

    assert covered((FINDING,), (other,), planned(), NOW) == ((FINDING,), ())


def test_a_waiver_holds_until_the_very_instant_at_which_it_expires() -> None:
    assert fits(replace(WAIVER, expires=NOW + timedelta(milliseconds=1)))
    assert not fits(replace(WAIVER, expires=NOW))


def test_a_waiver_for_one_client_covers_no_other_and_no_other_resource() -> None:
    assert not fits(WAIVER, target=TargetId("globex", "us-east-1"))
    assert not fits(WAIVER, replace(FINDING, physical_id=""))
    assert fits(WAIVER, target=TargetId("acme", "eu-west-1"))


def test_a_waiver_for_an_effect_group_covers_the_same_effect_wherever_it_is() -> None:
    elsewhere = replace(FINDING, physical_id="globex-forms")

    assert fits(OF_GROUP, elsewhere, TargetId("globex", "eu-west-1"))
    assert not fits(OF_GROUP, replace(elsewhere, effect=OTHER_EFFECT))
    assert not fits(OF_GROUP, replace(elsewhere, effect=None))
    assert not fits(replace(OF_GROUP, physical_id="acme-forms"), elsewhere)
    assert not fits(replace(OF_GROUP, rule="replacement"), elsewhere)


@pytest.mark.parametrize("rule", ["unknown", "unreadable"])
def test_what_nobody_understands_nobody_can_waive(rule: str) -> None:
    assert not fits(replace(WAIVER, rule=rule), replace(FINDING, rule=rule))


def test_what_is_left_keeps_its_order_and_only_waivers_that_were_used_are_named() -> None:
    first, last = replace(FINDING, logical_id="A"), replace(FINDING, logical_id="Z")
    unused = signed(replace(WAIVER, logical_id="B"))

    blocking, used = covered((last, FINDING, first), (unused, signed(WAIVER)), planned(), NOW)

    assert (blocking, used) == ((last, first), (signed(WAIVER),))


def test_every_waiver_that_was_used_is_named_not_only_the_last_findings() -> None:
    other = replace(FINDING, logical_id="Files", physical_id="acme-files")
    papers = (signed(WAIVER), signed(replace(WAIVER, logical_id="Files", physical_id="acme-files")))

    assert covered((FINDING, other), papers, planned(), NOW) == ((), papers)


@pytest.mark.parametrize(
    "change",
    [
        {"client": "", "effect": None},
        {"effect": EFFECT},
        {"physical_id": "*"},
        {"physical_id": ""},
        {"logical_id": ""},
        {"rule": ""},
        {"reason": ""},
        {"approver": ""},
    ],
)
def test_a_waiver_that_does_not_say_enough_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a waiver"):
        replace(WAIVER, **change)  # type: ignore[arg-type]


# --- the law ----------------------------------------------------------------------------------------

names = st.sampled_from(["Forms", "Files", "Keys"])
words = st.sampled_from(["acme", "globex"])
physical = st.sampled_from(["p-1", "p-2", ""])
changes = st.builds(
    ResourceChange,
    logical_id=names,
    resource_type=st.sampled_from(sorted(STATEFUL_TYPES)),
    action=st.sampled_from(["Add", "Modify", "Remove", "Import", "Dynamic", "SyncWithActual", "Odd"]),
    replacement=st.sampled_from(["True", "False", "Conditional", "", "Odd"]),
    policy_action=st.sampled_from(
        ["Delete", "Retain", "Snapshot", "ReplaceAndDelete", "ReplaceAndRetain", "ReplaceAndSnapshot", ""]
    ),
    scope=st.sampled_from([(), ("Properties",), ("Tags",), ("Properties", "Tags")]),
    physical_id=physical,
)
waivers = st.builds(
    Waiver,
    release=st.sampled_from([RELEASE, ReleaseName("intake", "1.3.0")]),
    client=words,
    logical_id=names,
    physical_id=st.sampled_from(["p-1", "p-2"]),
    rule=st.sampled_from(["removal", "replacement", "unforeseen", "undecided", "unknown"]),
    reason=st.just("because"),
    approver=st.just("ann"),
    expires=st.sampled_from([NOW - timedelta(days=1), NOW, NOW + timedelta(days=1)]),
)


@given(
    found=st.lists(changes, max_size=4, unique=True).map(tuple),
    papers=st.lists(waivers.map(signed), max_size=4, unique=True).map(tuple),
    owner=words,
)
def test_nothing_that_holds_data_goes_without_a_waiver_that_says_exactly_so(
    found: tuple[ResourceChange, ...], papers: tuple[SignedWaiver, ...], owner: str
) -> None:
    target = planned(TargetId(owner, "us-east-1"))
    blocking, used = covered(findings(found), papers, target, NOW)
    blocked = {(b.logical_id, b.physical_id) for b in blocking}
    for change in found:
        removed = change.action == "Remove"
        replaced = change.action in ("Modify", "SyncWithActual") and change.replacement in (
            "True",
            "Conditional",
        )
        if not (removed or replaced) or (change.logical_id, change.physical_id) in blocked:
            continue
        rule = "removal" if removed else "replacement"
        assert any(
            w.waiver.release == RELEASE
            and w.waiver.client == owner
            and w.waiver.logical_id == change.logical_id
            and w.waiver.physical_id == change.physical_id
            and w.waiver.rule == rule
            and w.waiver.expires > NOW
            for w in used
        ), change


@given(found=st.lists(changes, max_size=4, unique=True).map(tuple), owner=words)
def test_without_a_waiver_whatever_the_guard_finds_blocks(
    found: tuple[ResourceChange, ...], owner: str
) -> None:
    every = findings(found)

    assert covered(every, (), planned(TargetId(owner, "us-east-1")), NOW) == (every, ())
    assert all(each.effect == effect_of(found) for each in every)


# --- who is stopped ---------------------------------------------------------------------------------

GLOBEX = TargetId("globex", "us-east-1")
ACME_EU = TargetId("acme", "eu-west-1")
SERVICE = TargetId("@intake", "us-east-1")
TOLD = "Forms (AWS::DynamoDB::Table): would be deleted with its data"


def test_one_clients_blocked_change_stops_that_client_in_all_its_regions_and_nobody_else() -> None:
    everybody = [planned(t) for t in (SERVICE, ACME, ACME_EU, GLOBEX)]

    assert set_apart([(planned(ACME), (FINDING,)), (planned(GLOBEX), ())], everybody) == Apart(
        stopped=(
            SkippedTarget(id=ACME_EU, reason="waits for acme/us-east-1, which the guard blocks"),
            SkippedTarget(id=ACME, reason=f"is blocked by the guard: {TOLD}"),
        )
    )


def test_who_is_stopped_is_told_every_finding_and_every_region_that_is_blocked() -> None:
    ap_south = TargetId("acme", "ap-south-1")
    other = replace(FINDING, logical_id="Files")
    everybody = [planned(t) for t in (ACME, ACME_EU, ap_south, GLOBEX)]

    apart = set_apart([(planned(ACME), (FINDING, other)), (planned(ACME_EU), (FINDING,))], everybody)

    assert [one.reason for one in apart.stopped] == [
        "waits for acme/eu-west-1, acme/us-east-1, which the guard blocks",
        f"is blocked by the guard: {TOLD}",
        f"is blocked by the guard: {TOLD}; {TOLD.replace('Forms', 'Files')}",
    ]


def test_where_every_client_that_would_change_is_blocked_there_is_no_plan() -> None:
    everybody = [planned(SERVICE), planned(ACME), planned(GLOBEX, EffectKind.NOTHING)]

    assert set_apart([(planned(ACME), (FINDING,))], everybody) == Apart(refused=(f"{ACME}: {TOLD}",))


@pytest.mark.parametrize("target", [SERVICE, TargetId("~qa-001", "us-east-1")])
def test_a_blocked_service_or_test_account_refuses_the_plan(target: TargetId) -> None:
    everybody = [planned(target), planned(ACME)]

    assert set_apart([(planned(target), (FINDING,))], everybody) == Apart(refused=(f"{target}: {TOLD}",))


def test_nothing_blocked_sets_nobody_apart() -> None:
    assert set_apart([(planned(SERVICE), ()), (planned(ACME), ())], [planned(ACME)]) == Apart()
    assert set_apart([], []) == Apart()


# --- how it is written ------------------------------------------------------------------------------


def test_the_command_for_a_waiver_names_exactly_the_finding() -> None:
    command = shlex.split(waive_command("intake@1.4.0", ACME, replace(FINDING, physical_id="a b;c")))

    assert command == [
        "release", "waive", "intake@1.4.0", "--client", "acme", "--resource", "Forms",
        "--physical-id", "a b;c", "--rule", "removal", "--reason", "…",
    ]  # fmt: skip
    assert waive_command("intake@1.4.0", ACME, replace(FINDING, physical_id="")) == ""
    assert waive_command("intake@1.4.0", ACME, replace(FINDING, rule="unknown")) == ""


def test_where_several_targets_have_the_same_effect_one_waiver_for_all_of_them_is_offered() -> None:
    apart = replace(FINDING, effect=digest("9" * 64))
    nobody = replace(FINDING, rule="unknown")
    blocked = [
        (planned(ACME), (FINDING, nobody)),
        (planned(ACME_EU), (apart,)),
        (planned(GLOBEX), (FINDING, nobody)),
    ]

    *alone, together, other = ways_to_accept("intake@1.4.0", blocked)

    assert [line.split()[8] for line in (*alone, other)] == ["acme", "globex", "acme"]
    assert shlex.split(together) == [
        "for", "all", "2", "alike:", "release", "waive", "intake@1.4.0", "--group", str(EFFECT),
        "--resource", "Forms", "--rule", "removal", "--reason", "…",
    ]  # fmt: skip


@given(waiver=waivers)
def test_a_signed_waiver_survives_its_file(waiver: Waiver) -> None:
    assert signed_waiver_from_json(signed_waiver_to_json(signed(waiver))) == signed(waiver)


def test_whatever_a_waiver_says_is_under_its_signature() -> None:
    seen = {waiver_digest(WAIVER), waiver_digest(OF_GROUP)}
    for change in (
        {"release": ReleaseName("intake", "1.4.1")},
        {"client": "globex"},
        {"logical_id": "Files"},
        {"physical_id": "acme-files"},
        {"rule": "replacement"},
        {"reason": "other"},
        {"approver": "bob"},
        {"expires": NOW + timedelta(days=8)},
    ):
        seen.add(waiver_digest(replace(WAIVER, **change)))

    assert len(seen) == 10


def test_what_is_signed_says_that_it_is_a_waiver_and_nothing_else() -> None:
    assert waiver_digest(WAIVER) == signed_digest(waiver_bytes(WAIVER), WAIVER_TYPE)
    assert waiver_digest(WAIVER) != signed_digest(waiver_bytes(WAIVER))


def test_a_signature_that_is_no_base64_is_no_signature() -> None:
    assert signature_of(replace(signed(WAIVER), signature="not base64!")) == b""
    assert signature_of(replace(signed(WAIVER), signature="c2!ln")) == b""
    assert signature_of(signed(WAIVER)) == b"sig"
