"""What every answer goes through, whichever app gives it. Called by scheduler.api.app and early."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware.trustedhost import TrustedHostMiddleware

from scheduler.api.head import HeadAsGet
from scheduler.api.headers import add_security_headers


def add_dress(api: Starlette, hosts: Sequence[str]) -> None:
    """HEAD, the names that it answers to, security headers. The last one added sees a request first."""
    api.add_middleware(HeadAsGet)
    api.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    add_security_headers(api)
