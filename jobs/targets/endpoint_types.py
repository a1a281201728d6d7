"""Field types of hosts and ports. Used by http.py, tcp.py, tls.py and dns.py."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from jobs.targets.urls import refuse_placeholder

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
