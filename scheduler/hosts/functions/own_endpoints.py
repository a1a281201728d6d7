"""Where the Functions host serves the API and its channel to the worker: never a target. Used by program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise

from jobs.checks.addresses import OwnEndpoint

ANY_ADDRESS = "0.0.0.0"
_PORT_VARIABLES = ("WEBSITES_PORT", "PORT", "ASPNETCORE_HTTP_PORTS", "FUNCTIONS_CUSTOMHANDLER_PORT")
"""Variables with a port of the Functions host, or several with semicolons between them."""
_DEFAULT_IMAGE_PORTS = (80, 8080)
"""Ports on which the images of the Functions host listen if no variable sets another one."""


def functions_endpoints(environ: Mapping[str, str], arguments: Sequence[str]) -> tuple[OwnEndpoint, ...]:
    """Return the places. `arguments`: the command line of the process, which has the port of the host's channel."""
    return tuple(OwnEndpoint(ANY_ADDRESS, port) for port in sorted(_functions_ports(environ, arguments)))


def _functions_ports(environ: Mapping[str, str], arguments: Sequence[str]) -> set[int]:
    texts = [text for variable in _PORT_VARIABLES for text in environ.get(variable, "").split(";")]
    texts += [_port_of(url) for url in environ.get("ASPNETCORE_URLS", "").split(";")]
    served = _valid_ports(texts) or set(_DEFAULT_IMAGE_PORTS)
    return served | _valid_ports(_channel_ports(arguments))


def _channel_ports(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the port of the host's channel: `--port 50051`, or `--functions-uri http://127.0.0.1:50051/`."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    for name, value in pairwise(words):
        if name == "--port":
            yield value
        elif name == "--functions-uri":
            yield _port_of(value)


def _port_of(url: str) -> str:
    """Return the port of a URL such as `http://+:8080`, whose host need not be one."""
    return url.rstrip("/").rpartition(":")[2]


def _valid_ports(texts: Sequence[str] | Iterator[str]) -> set[int]:
    found = set()
    for text in texts:
        with suppress(ValueError):
            found.add(int(text))
    return {port for port in found if 0 < port < 65536}
