"""What every answer goes through, whichever app gives it. Called by scheduler.api.app and early."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette

from scheduler.api.escaped_json import EscapedJson
from scheduler.api.head import HeadAsGet
from scheduler.api.headers import add_security_headers
from scheduler.api.requests import ReadTurns, RequestGuard


def add_dress(api: Starlette, hosts: Sequence[str]) -> None:
    """Escapes in JSON, answers to HEAD, turns of reads, the guard of requests, security headers.

    The middleware added last sees a request first.
    """
    api.add_middleware(EscapedJson)
    api.add_middleware(HeadAsGet)
    api.add_middleware(ReadTurns)
    api.add_middleware(RequestGuard, hosts=hosts)
    add_security_headers(api)
