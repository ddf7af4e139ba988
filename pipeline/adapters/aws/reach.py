"""Floor 3, adapters: calls into one account and Region of the plan, and the proof that they landed there.

The proof is the account and Region in every ARN that comes back, beside what AssumeRole's answer has said already.
It must never let an ARN of another place pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from pipeline.adapters.aws.session import Aws, Identity
from pipeline.errors import WrongAccount
from pipeline.ports import Place

__all__ = ["IdentityOf", "Reach", "partition_of", "url_suffix_of"]

IdentityOf: TypeAlias = Callable[[Place], Identity]

_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:([a-z0-9-]*):([0-9]*):.+")


class Reach:
    """Every call of an adapter into the places of a plan goes through one of these."""

    def __init__(self, aws: Aws, identity_of: IdentityOf) -> None:
        self._aws = aws
        self._identity_of = identity_of

    def call(self, place: Place, service: str, operation: str, **params: Any) -> dict[str, Any]:
        return self._aws.call(self._identity(place), service, place.region, operation, **params)

    def pages(self, place: Place, service: str, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
        return self._aws.pages(self._identity(place), service, place.region, operation, **params)

    def landed(self, place: Place, arn: str) -> str:
        """The ARN itself; WrongAccount where it is of another account or Region, or no ARN at all."""
        found = _ARN.fullmatch(arn)
        if found is None or (found[1], found[2]) != (place.region, place.account):
            raise WrongAccount(
                f"a call for account {place.account} in {place.region} came to {arn or 'nowhere'}",
                state="nothing more is done for this target",
                remedy="check the account's role in the registry and the endpoint this machine talks to",
            )
        return arn

    def _identity(self, place: Place) -> Identity:
        identity = self._identity_of(place)
        if identity.account and identity.account != place.account:
            raise WrongAccount(
                f"the role for account {place.account} is one of account {identity.account}",
                state="no call was made",
                remedy="check the account's row in the registry",
            )
        return identity


def partition_of(region: str) -> str:
    """`aws`, `aws-cn` or `aws-us-gov`: what ARNs of a Region begin with. (AWS General Reference, "ARNs".)"""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def url_suffix_of(region: str) -> str:
    """The domain of a Region's services: CloudFormation's pseudo parameter AWS::URLSuffix."""
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
