"""What the integration tests share: a user who may send forms."""

import secrets
import uuid

import pytest


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
