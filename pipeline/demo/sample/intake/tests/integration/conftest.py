"""What the integration tests share: an HTTP session, and a user who may send forms."""

import secrets
import uuid
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter


class LoopbackNames(HTTPAdapter):
    """Names under .localhost are this machine (RFC 6761). Browsers and curl know; Python's resolver may not."""

    def send(self, request, *args, **options):
        parts = urlsplit(request.url)
        if parts.hostname.endswith(".localhost"):
            request.headers["Host"] = parts.netloc
            request.url = parts._replace(netloc=f"127.0.0.1:{parts.port or 80}").geturl()
        return super().send(request, *args, **options)


@pytest.fixture(scope="session")
def http():
    with requests.Session() as session:
        session.mount("http://", LoopbackNames())
        yield session


@pytest.fixture
def nurse(tidegate_session, tidegate_outputs):
    """A signed-in user of this stack's own pool, gone when the test is over; yields the request headers."""
    cognito = tidegate_session.client("cognito-idp")
    pool, name = tidegate_outputs["UserPoolId"], f"nurse-{uuid.uuid4().hex}"
    password = f"Aa1!{secrets.token_urlsafe(24)}"
    cognito.admin_create_user(
        UserPoolId=pool, Username=name, TemporaryPassword=password, MessageAction="SUPPRESS"
    )
    try:
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=password, Permanent=True)
        signed_in = cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=tidegate_outputs["UserPoolClientId"],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": password},
        )
        yield {"Authorization": f"Bearer {signed_in['AuthenticationResult']['IdToken']}"}
    finally:
        cognito.admin_delete_user(UserPoolId=pool, Username=name)
