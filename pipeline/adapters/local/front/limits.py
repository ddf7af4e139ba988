"""Room: adapters/local/front. CloudFormation's DescribeAccountLimits, which ministack does not answer.

The values are AWS's defaults: User Guide, "Understand CloudFormation quotas". Nothing here enforces them.
"""

from __future__ import annotations

import uuid

from pipeline.adapters.local.front.facts import Answer

__all__ = ["account_limits"]

_LIMITS = {"ConcurrentResourcesLimit": 2500, "StackLimit": 2000, "StackOutputsLimit": 200}


def account_limits(namespace: str) -> Answer:
    """The answer in CloudFormation's protocol, on one page."""
    members = "".join(
        f"<member><Name>{name}</Name><Value>{value}</Value></member>" for name, value in _LIMITS.items()
    )
    body = (
        f'<DescribeAccountLimitsResponse xmlns="{namespace}"><DescribeAccountLimitsResult>'
        f"<AccountLimits>{members}</AccountLimits></DescribeAccountLimitsResult>"
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
        "</DescribeAccountLimitsResponse>"
    )
    return 200, {"Content-Type": "text/xml"}, body.encode()
