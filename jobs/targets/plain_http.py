"""Decides whether a request would send secrets over plain http, readable for others on the network. Pure.

Called by jobs.warnings for definitions, and by jobs.checks.kinds for URLs from earlier answers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Set
from urllib.parse import urlsplit

from jobs.model_base import SecretRef
from jobs.targets.http import FormBody, HttpTarget, NoAuth, TextBody
from jobs.targets.steps import Step


def exposes_secrets(request: HttpTarget, url: str, saved_secrets: Set[str] = frozenset()) -> bool:
    """Return whether the request to this URL sends a secret without TLS, and the job does not allow it.

    `saved_secrets`: names of secret values that earlier steps saved.
    """
    return not request.allow_plain_http and is_plain_http(url) and sends_secrets(request, saved_secrets)


def is_plain_http(url: str) -> bool:
    """Return whether a request to this URL crosses a network without TLS. Loopback is not a network."""
    if url.startswith("https://"):
        return False
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def sends_secrets(request: HttpTarget, saved_secrets: Set[str] = frozenset()) -> bool:
    """Return whether the request contains a secret, in auth, headers, query or body."""
    texts: list[object] = [*request.headers.values(), *request.query.values()]
    match request.body:
        case TextBody(text=text):
            texts.append(text)
        case FormBody(form=form):
            texts += form.values()
    if not isinstance(request.auth, NoAuth) or any(isinstance(text, SecretRef) for text in texts):
        return True
    return (
        bool(saved_secrets) and isinstance(request, Step) and not saved_secrets.isdisjoint(request.placeholder_names())
    )


def _is_loopback(host: str) -> bool:
    """RFC 6761, section 6.3: localhost and the names below it are always loopback."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
