"""URLs that a request can be made to, as fields of definitions. Used by the targets and by auth.py. Pure."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

_UNFIT_IN_URL = re.compile(r"[\x00-\x1f\x7f]|^\s|\s$")
_BLANK = re.compile(r"\s")


_WITHOUT_SCHEME = re.compile(
    r"(?:localhost|[\w-]+(?:\.[\w-]+)+|[\w-]+(?=:\d)|\[[0-9a-f:.]+\])(?::\d+)?(?:[/?#].*)?", re.IGNORECASE
)


def http_url(url: str) -> str:
    """The URL, if a request can be made to it; without a scheme it is one of http.

    Raises ValueError, which says what is wrong.
    """
    if _WITHOUT_SCHEME.fullmatch(url):
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is not a URL: {error}") from None
    if _UNFIT_IN_URL.search(url) or _BLANK.search(parts.netloc):
        raise ValueError("it has a line break, a control character or a blank where a URL has none")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an http URL: write it like https://checkout.internal/health")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not carry credentials: use auth {kind: basic} with a secret")
    if port == 0:
        raise ValueError("port 0 cannot be connected to")
    return url


HttpUrl = Annotated[str, Field(max_length=2048), AfterValidator(http_url)]
