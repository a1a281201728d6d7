"""Security headers of every response, from the `secure` package. Added by scheduler.api.middleware.stack.

scheduler.hosts.functions.liveness uses the headers too, so this module does not import Starlette.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secure import (
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
    from starlette.applications import Starlette

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
    .require_trusted_types_for("'script'")
    .trusted_types("dashboard")
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


def add_security_headers(api: Starlette) -> None:
    from secure.middleware import SecureASGIMiddleware

    api.add_middleware(SecureASGIMiddleware, secure=_SECURE)
