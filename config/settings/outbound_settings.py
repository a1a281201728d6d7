"""The settings group `outbound`: by which proxy requests leave, and whom they trust. Used by config.settings.model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from config.settings.fields import split_list
from jobs.checks.outbound import parse_no_proxy
from jobs.model_base import FrozenModel
from jobs.problems.findings import strip_url_secrets


def _check_proxy(text: str) -> str:
    shown = strip_url_secrets(text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{shown!r} is not a URL: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user or a password: use outbound.proxy_user and outbound.proxy_password")
    is_origin = parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme != "http" or not parts.hostname or not port or not is_origin:
        raise ValueError(f"{shown!r} is not a proxy: write http://HOST:PORT; https requests use it, too")
    return text


def _check_no_proxy(entry: str) -> str:
    parse_no_proxy([entry])
    return entry


NoProxy = Annotated[tuple[Annotated[str, AfterValidator(_check_no_proxy)], ...], BeforeValidator(split_list)]


class OutboundSettings(FrozenModel):
    """Of all requests that the program sends; see config.outbound."""

    proxy: Annotated[str, Field(max_length=2048), AfterValidator(_check_proxy)] | None = None
    """None: no proxy. Libraries that read the variables of the environment still do so."""
    proxy_user: str | None = Field(default=None, pattern=r"^[^:\x00-\x1f\x7f]+$", description="a name without a colon")
    proxy_password: SecretStr | None = None
    no_proxy: NoProxy = ()
    """Names, domains, addresses, networks, each with or without a port; see jobs.checks.outbound.parse_no_proxy."""
    ca_file: Path | None = None
    """Authorities in PEM form that are trusted in addition to those of the system."""

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if self.proxy_user is not None and self.proxy_password is None:
            raise ValueError("proxy_user needs proxy_password: set it")
        if self.proxy_user is not None and self.proxy is None:
            raise ValueError("proxy_user needs proxy: set it")
        return self
