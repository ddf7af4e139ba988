"""Who did it: what AWS vouches for counts, what somebody typed does not."""

from __future__ import annotations

import pytest

from pipeline.model.identity import (
    Identity,
    IdentityKind,
    github_person,
    identity_of,
    identity_told,
    same,
    unproven,
)

PERSON, ROLE, UNPROVEN = IdentityKind.PERSON, IdentityKind.ROLE, IdentityKind.UNPROVEN
STS = "arn:aws:sts::123456789012:assumed-role"
ADMIN = "AWSReservedSSO_Admin_0123456789abcdef"
READER = "AWSReservedSSO_Read_Only_fedcba9876543210"


@pytest.mark.parametrize(
    ("arn", "text", "kind"),
    [
        (f"{STS}/{ADMIN}/ada@example.com", "sso:ada@example.com", PERSON),
        (f"{STS}/{READER}/ada@example.com", "sso:ada@example.com", PERSON),
        ("arn:aws:iam::123456789012:user/ada", "aws-user:123456789012/ada", PERSON),
        ("arn:aws:iam::123456789012:user/staff/on call/ada", "unproven:", UNPROVEN),
        ("arn:aws:iam::123456789012:user/staff/on-call/ada", "aws-user:123456789012/ada", PERSON),
        (f"{STS}/Deployer/ada", "aws-role:123456789012/Deployer", ROLE),
        ("arn:aws-us-gov:sts::123456789012:assumed-role/D/x", "aws-role:123456789012/D", ROLE),
        ("arn:aws:iam::123456789012:role/path/Deployer", "aws-role:123456789012/Deployer", ROLE),
        ("arn:aws:sts::123456789012:federated-user/ada", "aws-federated:123456789012", ROLE),
        ("arn:aws:iam::123456789012:root", "aws-root:123456789012", ROLE),
        ("", "unproven:nobody", UNPROVEN),
        ("ada", "unproven:ada", UNPROVEN),
    ],
)
def test_an_arn_names_an_identity(arn: str, text: str, kind: IdentityKind) -> None:
    found = identity_of(arn)
    assert found.kind is kind
    assert found.text.startswith(text)
    assert kind is UNPROVEN or found.text == text


@pytest.mark.parametrize(
    "role",
    [
        "AWSReservedSSO_Admin",
        "AWSReservedSSO_Admin_0123456789ABCDEF",
        "AWSReservedSSO_0123456789abcdef",
        "xAWSReservedSSO_Admin_0123456789abcdef",
        "AWSReservedSSO_Admin_0123456789abcdef0",
    ],
)
def test_a_role_that_only_looks_like_one_of_identity_center_is_a_role(role: str) -> None:
    assert identity_of(f"{STS}/{role}/ada").kind is ROLE


def test_two_sessions_of_one_role_are_one_identity() -> None:
    assert same(identity_of(f"{STS}/Deployer/ada"), identity_of(f"{STS}/Deployer/bob"))


def test_two_people_in_one_permission_set_are_two() -> None:
    assert not same(identity_of(f"{STS}/{ADMIN}/ada"), identity_of(f"{STS}/{ADMIN}/bob"))


def test_one_person_in_two_permission_sets_and_accounts_is_one() -> None:
    elsewhere = f"arn:aws:sts::999999999999:assumed-role/{READER}/Ada"
    assert same(identity_of(f"{STS}/{ADMIN}/ada"), identity_of(elsewhere))


def test_roles_of_one_name_in_two_accounts_are_two() -> None:
    other = "arn:aws:sts::999999999999:assumed-role/Deployer/ada"
    assert not same(identity_of(f"{STS}/Deployer/ada"), identity_of(other))


def test_names_are_compared_without_case() -> None:
    assert same(github_person("Ada-L"), "github:ada-l")


@pytest.mark.parametrize("other", ["github:ada", "sso:ada", "aws-role:1/x", "unproven:bob", "tidegate", ""])
def test_who_is_unproven_never_counts_as_somebody_else(other: str) -> None:
    assert same(unproven("ada@laptop"), other)


def test_the_text_in_a_journal_tells_the_identity_again() -> None:
    for arn in (
        f"{STS}/{ADMIN}/ada",
        f"{STS}/Deployer/x",
        "arn:aws:iam::123456789012:user/ada",
        "ada lovelace",
    ):
        found = identity_of(arn)
        assert identity_told(found.text) == found


def test_an_older_journal_holds_arns() -> None:
    assert identity_told("arn:aws:iam::123456789012:user/ada") == Identity(
        text="aws-user:123456789012/ada", kind=PERSON
    )
    assert same("arn:aws:iam::123456789012:user/ada", "aws-user:123456789012/ada")


@pytest.mark.parametrize(
    "login", ["", "-ada", "ada lovelace", "github-actions[bot]", "a/b", "ada\n", "x" * 101]
)
def test_what_is_no_person_on_github_is_refused(login: str) -> None:
    with pytest.raises(ValueError, match="GitHub"):
        github_person(login)


def test_an_identity_never_holds_a_blank_or_a_line_break() -> None:
    assert unproven("ada\nlovelace approved").text == "unproven:ada_lovelace_approved"
