"""Floor 1, who did it: an identity that AWS or GitHub vouches for, and when two of them are one. No effects.

A name that somebody types proves nothing. Of an assumed role the session name is such a name: whoever assumes the
role chooses it (API reference of STS, AssumeRole, RoleSessionName), so any number of sessions of one role are one
identity. The exception is IAM Identity Center: it makes the roles `AWSReservedSSO_SET_16HEX`, which only AWS can
change (IAM User Guide, "protected role"), and they are entered with a session name that Identity Center puts into
its own SAML assertion: the user's name there. So that session is the person, whichever permission set was used.

An IAM user is taken for one person. Its key may be shared, but then the two who share it are one identity here,
which errs on the safe side. The account's root user and a federated user (GetFederationToken: the name is typed)
are one identity per account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Identity", "IdentityKind", "github_person", "identity_of", "identity_told", "same", "unproven"]

_USER = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):user/(?:[!-.0-~]+/)*([\w+=,.@-]+)")
_ASSUMED = re.compile(r"arn:aws[a-z-]*:sts::([0-9]{12}):assumed-role/([\w+=,.@-]+)/([\w+=,.@-]+)")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/(?:[!-.0-~]+/)*([\w+=,.@-]+)")
_FEDERATED = re.compile(r"arn:aws[a-z-]*:sts::([0-9]{12}):federated-user/[\w+=,.@-]+")
_ROOT = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):root")
_IDENTITY_CENTER = re.compile(r"AWSReservedSSO_[\w+=,.@-]+_[0-9a-f]{16}")
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?(?:\[bot\])?")
_TOLD = re.compile(r"(sso|github|unproven|aws-user|aws-role|aws-federated|aws-root):(\S+)")


class IdentityKind(StrEnum):
    PERSON = "person"
    """an Identity Center session, an IAM user, a GitHub environment's reviewer"""
    ROLE = "role"
    """whoever may assume this role: one identity, however many sessions and session names there are"""
    UNPROVEN = "unproven"
    """AWS could not be asked, or its answer has no known form; it never counts as somebody else"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """text: what stands in the journal, `sso:ada@example.com`, `aws-user:123456789012/ada`, `github:ada`,
    `aws-role:123456789012/TidegatePromote`, `unproven:ada@laptop`."""

    text: str
    kind: IdentityKind

    def __str__(self) -> str:
        return self.text


_KINDS = {
    "sso": IdentityKind.PERSON,
    "github": IdentityKind.PERSON,
    "aws-user": IdentityKind.PERSON,
    "aws-role": IdentityKind.ROLE,
    "aws-federated": IdentityKind.ROLE,
    "aws-root": IdentityKind.ROLE,
    "unproven": IdentityKind.UNPROVEN,
}


def identity_of(arn: str) -> Identity:
    """From the ARN that GetCallerIdentity answers. An ARN of no known form is UNPROVEN, never somebody."""
    if found := _ASSUMED.fullmatch(arn):
        account, role, session = found.groups()
        if _IDENTITY_CENTER.fullmatch(role):
            return _made("sso", session)
        return _made("aws-role", f"{account}/{role}")
    if found := _USER.fullmatch(arn):
        return _made("aws-user", f"{found[1]}/{found[2]}")
    if found := _ROLE.fullmatch(arn):
        return _made("aws-role", f"{found[1]}/{found[2]}")
    if found := _FEDERATED.fullmatch(arn):
        return _made("aws-federated", found[1])
    if found := _ROOT.fullmatch(arn):
        return _made("aws-root", found[1])
    return unproven(arn)


def github_person(login: str) -> Identity:
    """A reviewer as GitHub's API names them. ValueError for what is no login, and for a bot, which is no person."""
    if not _LOGIN.fullmatch(login) or login.endswith("[bot]"):
        raise ValueError(f"{login!r} is not the login of a person on GitHub")
    return _made("github", login)


def unproven(name: str) -> Identity:
    """What nobody vouches for, marked as such wherever it is read."""
    plain = re.sub(r"[^\w@.:/+=,-]", "_", name, flags=re.ASCII)
    return _made("unproven", plain or "nobody")


def identity_told(text: str) -> Identity:
    """From a journal's actor: the text of an identity, or the ARN that older versions wrote. Total."""
    found = _TOLD.fullmatch(text)
    return _made(found[1], found[2]) if found else identity_of(text)


def same(one: str | Identity, other: str | Identity) -> bool:
    """Whether two may be the same person: True unless it is proven that they are not.

    Names are compared without case: IAM, Identity Center and GitHub allow no two that differ in case alone.
    """
    first, second = (i if isinstance(i, Identity) else identity_told(i) for i in (one, other))
    if IdentityKind.UNPROVEN in (first.kind, second.kind):
        return True
    return first.text.casefold() == second.text.casefold()


def _made(prefix: str, name: str) -> Identity:
    return Identity(text=f"{prefix}:{name}", kind=_KINDS[prefix])
