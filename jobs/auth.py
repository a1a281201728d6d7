"""How a check proves who it is: the `auth` of an HTTP target. Secrets are references only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field

from jobs.model import HEADER_NAME, Frozen, SecretRef, TextOrSecret


class NoAuth(Frozen):
    kind: Literal["none"] = "none"


class BasicAuth(Frozen):
    """RFC 7617."""

    kind: Literal["basic"]
    username: TextOrSecret
    password: SecretRef


class BearerAuth(Frozen):
    """`Authorization: Bearer <token>` (RFC 6750)."""

    kind: Literal["bearer"]
    token: SecretRef


class ApiKeyAuth(Frozen):
    """A key in a header, or in a query parameter."""

    kind: Literal["api_key"]
    key: SecretRef
    name: str = Field(
        default="X-API-Key", pattern=HEADER_NAME, description="the name of the header or parameter, such as X-API-Key"
    )
    place: Literal["header", "query"] = "header"


class ManagedIdentityAuth(Frozen):
    """An access token of the app's own identity. `scope` as Entra ID names it: `api://checkout/.default`."""

    kind: Literal["managed_identity"]
    scope: str = Field(min_length=1)


Auth = Annotated[NoAuth | BasicAuth | BearerAuth | ApiKeyAuth | ManagedIdentityAuth, Discriminator("kind")]

NO_AUTH = NoAuth()
