"""HTTP URLs, hosts and ports as fields of definitions. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, Tag

from jobs.model_base import SecretRef
from jobs.problems.findings import strip_url_secrets

_UNFIT_IN_URL = re.compile(r"[\x00-\x1f\x7f]|^\s|\s$")
_BLANK = re.compile(r"\s")

_WITHOUT_SCHEME = re.compile(
    r"(?:localhost|[\w-]+(?:\.[\w-]+)+|[\w-]+(?=:\d)|\[[0-9a-f:.]+\])(?::\d+)?(?:[/?#].*)?", re.IGNORECASE
)
_SHELL = r"\$\{[A-Za-z_][\w.:-]*\}"
_PLACEHOLDER = re.compile(
    # The last alternative: only where it is not percent-encoded text, such as %E4ABC%20.
    _SHELL + r"|\{\{[^{}]*\}\}|#\{[^{}]*\}#?|\$\([A-Za-z_][\w.]*\)|%(?![0-9A-Fa-f]{2})[A-Za-z_]\w+%"
)
_PLACEHOLDER_IN_HOST = re.compile(r"\$\{[^{}]*\}|\{+[^{}]*\}+|\$\([^()]*\)|%\w+%|\$\w+|<[^<>]*>")
_USER = re.compile(r"^([^/?#]*//)[^/?#]*@")
_SHELL_PLACEHOLDER = re.compile(_SHELL)


def find_placeholder_in_url(url: str) -> str | None:
    """Return the first placeholder of another program in a URL, such as `${HOST}`, `{{ host }}` or `%HOST%`."""
    if "{" not in url and "%" not in url and "$" not in url:  # as nearly all
        return None
    found = _PLACEHOLDER_IN_HOST.search(_authority(url)) or _PLACEHOLDER.search(url)
    return None if found is None else found[0]


def find_placeholder_in_text(text: str) -> str | None:
    """Return the first `${NAME}` in a text. Other placeholder syntaxes may be part of the text itself."""
    found = _SHELL_PLACEHOLDER.search(text) if "$" in text else None
    return None if found is None else found[0]


def _authority(url: str) -> str:
    """Return host and port, also of an invalid URL."""
    return re.split(r"[/?#]", url.partition("://")[2] or url, maxsplit=1)[0] if not url.startswith("/") else ""


def strip_user(url: str) -> str:
    """Return the URL without user and password."""
    return _USER.sub(r"\1", url)


def validate_http_url(url: str) -> str:
    """Return the URL if it is a valid target of a request.

    Raises ValueError with the cause.
    """
    if _WITHOUT_SCHEME.fullmatch(url):
        # Without the query, which may contain a secret.
        shown = re.split(r"[?#]", url, maxsplit=1)[0]
        raise ValueError(f"{shown!r} has no scheme: write https://{shown}, or http://{shown} where there is no TLS")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{strip_url_secrets(url)!r} is not a URL: {error}") from None
    if _UNFIT_IN_URL.search(url) or _BLANK.search(parts.netloc):
        raise ValueError(
            "the URL contains a line break, a control character or a blank: remove it or percent-encode it"
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not carry credentials: use auth {kind: basic} with a secret")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        # Without the text before an @, which may be a password; and without the query.
        shown = re.sub(r"^[^/?#]*@", "...@", re.split(r"[?#]", url, maxsplit=1)[0])
        raise ValueError(f"{shown!r} is not an http URL: write it like https://checkout.internal/health")
    if port == 0:
        raise ValueError("port 0 cannot be connected to")
    return url


def validate_complete_http_url(url: str) -> str:
    """Return the URL if a request can be sent to it without values of an earlier answer.

    Raises ValueError with the cause.
    """
    refuse_placeholder(_authority(url))
    return validate_http_url(url)


def refuse_placeholder(host: str) -> None:
    """Raise ValueError if a host contains a placeholder of another program, such as `${HOST}`."""
    if (found := _PLACEHOLDER_IN_HOST.search(host)) is not None:
        raise ValueError(
            f"the placeholder {found[0]} is not replaced: write the host itself, such as checkout.internal, "
            "or let your pipeline replace it before the file is read"
        )


HttpUrl = Annotated[str, Field(max_length=2048), AfterValidator(validate_complete_http_url)]


def _text_or_secret(value: object) -> str:
    return "secret" if isinstance(value, (dict, SecretRef)) else "text"


UrlOrSecret = Annotated[
    Annotated[HttpUrl, Tag("text")] | Annotated[SecretRef, Tag("secret")], Discriminator(_text_or_secret)
]
"""An http URL, or a reference to the secret that is the whole URL."""


_UNFIT = re.compile(r"[\s/@?#\x00-\x1f\x7f]")


def _check_host(host: str) -> str:
    refuse_placeholder(host)
    if "://" in host or _UNFIT.search(host):
        raise ValueError(f"{host!r} is not a host: write only the name or the address, like db.internal or 10.1.2.3")
    if host.startswith("[") or (host.count(":") == 1 and not host.startswith(":")):
        raise ValueError(f"{host!r} is not only a host: write the port under the key port, and no brackets")
    return host


Host = Annotated[
    str,
    Field(min_length=1, max_length=253, description="a name or an address, such as db.internal"),
    AfterValidator(_check_host),
]
IpVersion = Literal[4, 6]
"""The only version of IP to connect by."""
Port = Annotated[int, Field(ge=1, le=65535)]


class HostPort(NamedTuple):
    """A host and a port that a check connects to."""

    host: str
    port: int


Destination = str | HostPort
"""What a check connects to: a URL, or a host and a port."""
