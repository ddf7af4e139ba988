"""An ambient identity and an endpoint of this test's own, whatever AWS configuration the machine has."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.retries.standard import ExponentialBackoff

from pipeline.adapters.aws.session import Aws
from tests.adapters.aws.fake_endpoint import FakeEndpoint


@pytest.fixture
def own_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_MAX_ATTEMPTS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-ambient-secret")
    # The pauses between attempts are botocore's and not what these tests are about.
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)


Point = Callable[[FakeEndpoint], Aws]


@pytest.fixture
def point(own_configuration: None, monkeypatch: pytest.MonkeyPatch) -> Point:
    def to(server: FakeEndpoint) -> Aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return Aws(call_timeout=5)

    return to
