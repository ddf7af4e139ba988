"""Who a waiver may be for."""

from __future__ import annotations

import pytest

from pipeline.cli.waive import _refuse_unknown
from pipeline.errors import NotFound
from tests.simulation import SERVICE, a_fleet


@pytest.mark.parametrize("client", ["nobody", "@notify", "C1"])
def test_a_waiver_for_a_client_that_the_fleet_does_not_have_is_not_signed(client: str) -> None:
    with pytest.raises(NotFound, match="knows no client"):
        _refuse_unknown(a_fleet(), SERVICE, client)


@pytest.mark.parametrize("client", ["", f"@{SERVICE}"])
def test_a_group_and_the_services_own_account_may_be_waived_for(client: str) -> None:
    _refuse_unknown(a_fleet(), SERVICE, client)
