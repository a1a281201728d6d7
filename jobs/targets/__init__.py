"""What each kind of check asks, as data. The check itself is in jobs/checks/<kind>.py.

A new kind: its model in a file here and in `Target`, its file in jobs/checks/, its line in jobs/checks/__init__.py.
Every target has `kind`, `endpoint` (how logs and history call it, without secrets) and `idempotent` (whether asking
again after a failure does no harm).
"""

from jobs.targets.http import (
    IDEMPOTENT_METHODS,
    FormBody,
    HttpTarget,
    JsonBody,
    TextBody,
    Tls,
    unfit_for_header,
)

Target = HttpTarget
"""Every kind of target; a discriminated union by `kind` as soon as there is a second one."""

__all__ = [
    "IDEMPOTENT_METHODS",
    "FormBody",
    "HttpTarget",
    "JsonBody",
    "Target",
    "TextBody",
    "Tls",
    "unfit_for_header",
]
