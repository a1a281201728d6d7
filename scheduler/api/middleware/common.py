"""What every answer goes through, whichever app gives it. Called by scheduler.api.app and early."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette

from scheduler.api.middleware.escaped_json import JsonEscaping
from scheduler.api.middleware.head import HeadSupport
from scheduler.api.middleware.security_headers import add_security_headers
from scheduler.api.requests import ReadLimiter, RequestGuard


def add_common_middleware(api: Starlette, hosts: Sequence[str]) -> None:
    """Escapes in JSON, answers to HEAD, turns of reads, the guard of requests, security headers.

    The middleware added last sees a request first.
    """
    api.add_middleware(JsonEscaping)
    api.add_middleware(HeadSupport)
    api.add_middleware(ReadLimiter)
    api.add_middleware(RequestGuard, hosts=hosts)
    add_security_headers(api)
