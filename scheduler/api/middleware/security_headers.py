"""Security headers of every response, from the `secure` package. Added by scheduler.api.middleware.common.

scheduler.hosts.functions.liveness uses the headers too, so this module does not import Starlette.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secure import (
    MULTI_OK,
    CacheControl,
    ContentSecurityPolicy,
    CrossOriginOpenerPolicy,
    CrossOriginResourcePolicy,
    ReferrerPolicy,
    Secure,
    StrictTransportSecurity,
    XContentTypeOptions,
    XFrameOptions,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The dashboard needs its own style sheet, script and forms. Everything else is forbidden.
_CSP = (
    ContentSecurityPolicy()
    .default_src("'none'")
    .style_src("'self'")
    .script_src("'self'")
    .img_src("'self'")
    .connect_src("'self'")
    .base_uri("'none'")
    .form_action("'self'")
    .frame_ancestors("'none'")
)


_SECURE = Secure(
    cache=CacheControl().no_store(),
    coop=CrossOriginOpenerPolicy().same_origin(),
    corp=CrossOriginResourcePolicy().same_origin(),
    csp=_CSP,
    hsts=StrictTransportSecurity().max_age(31_536_000),
    referrer=ReferrerPolicy().no_referrer(),
    xcto=XContentTypeOptions().nosniff(),
    xfo=XFrameOptions().deny(),
)
SECURITY_HEADERS = dict(_SECURE.headers)
_ENCODED = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in SECURITY_HEADERS.items()]
_REPLACED = frozenset(name for name, _ in _ENCODED if name.decode() not in MULTI_OK)


class SecurityHeaders:
    """Sets the headers, as the middleware of the package does, which builds them anew for each response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() not in _REPLACED]
                message = {**message, "headers": [*headers, *_ENCODED]}
            await send(message)

        await self._app(scope, receive, adding)
