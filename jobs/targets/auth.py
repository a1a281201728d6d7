"""Credentials of an HTTP target: its `auth` key. A job file names secrets, never their values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field

from jobs.model_base import HEADER_NAME_PATTERN, FrozenModel, SecretRef, TextOrSecret
from jobs.targets.urls import validate_complete_http_url


class NoAuth(FrozenModel):
    kind: Literal["none"] = "none"


class BasicAuth(FrozenModel):
    """RFC 7617."""

    kind: Literal["basic"]
    username: TextOrSecret
    password: SecretRef


class BearerAuth(FrozenModel):
    """`Authorization: Bearer <token>` (RFC 6750)."""

    kind: Literal["bearer"]
    token: SecretRef


class ApiKeyAuth(FrozenModel):
    """A key, sent in a header or a query parameter."""

    kind: Literal["api_key"]
    key: SecretRef
    name: str = Field(
        default="X-API-Key",
        pattern=HEADER_NAME_PATTERN,
        description="the name of the header or parameter, such as X-API-Key",
    )
    place: Literal["header", "query"] = "header"


class ManagedIdentityAuth(FrozenModel):
    """An access token of the app's managed identity. `scope` as Entra ID names it: `api://checkout/.default`."""

    kind: Literal["managed_identity"]
    scope: str = Field(min_length=1)


def _token_url(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ValueError("is not an http URL: write it like https://login.example/oauth2/token")
    if "#" in url:
        raise ValueError("the URL of a token endpoint must not have a fragment: remove the # and the text after it")
    return validate_complete_http_url(url)


_SCOPES = r"^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$"
"""RFC 6749, section 3.3."""


class OAuth2Auth(FrozenModel):
    """A token for the client's id and secret, issued by a token endpoint (RFC 6749, section 4.4).

    `style`: the token request sends id and secret in the `header` (Basic) or in the `body`. `audience`: the service
    that the token is for, where the endpoint requires it.
    """

    kind: Literal["oauth2"]
    token_url: Annotated[str, Field(max_length=2048), AfterValidator(_token_url)]
    client_id: TextOrSecret
    client_secret: SecretRef
    scope: str | None = Field(
        default=None, pattern=_SCOPES, max_length=2000, description="scopes, separated by single blanks"
    )
    audience: str | None = Field(default=None, min_length=1, max_length=2000)
    style: Literal["header", "body"] = "header"


Auth = Annotated[NoAuth | BasicAuth | BearerAuth | ApiKeyAuth | ManagedIdentityAuth | OAuth2Auth, Discriminator("kind")]

NO_AUTH = NoAuth()
