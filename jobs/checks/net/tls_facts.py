"""What a TLS handshake has shown, as facts and certificates of an observation. Called by tcp.py and tls.py."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jobs.certificates import Certificate, UnreadableCertificate, read_certificate
from jobs.checks.net.network import peer_certificates


def shown_certificates(session: ssl.SSLObject | None) -> tuple[bytes, ...]:
    """Return the peer's certificates, DER, its own first; empty without a session."""
    return () if session is None else peer_certificates(session)


def session_facts(session: ssl.SSLObject | None) -> dict[str, Any]:
    """Return version and cipher; empty without a session."""
    if session is None:
        return {}
    cipher = session.cipher()
    return {"tls_version": session.version(), "cipher": cipher[0] if cipher else None}


def certificate_facts(shown: Sequence[bytes], now: datetime) -> dict[str, Any]:
    """Return subject, issuer and validity of the first of them."""
    certificate = read_first_certificate(shown)
    if certificate is None:
        return {"chain": len(shown)}
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "names": list(certificate.names),
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "days_left": certificate.days_left(now),
        "chain": len(shown),
    }


def read_first_certificate(shown: Sequence[bytes]) -> Certificate | None:
    """Return the peer's own certificate; None if it showed none, or an unreadable one."""
    if not shown:
        return None
    try:
        return read_certificate(shown[0])
    except UnreadableCertificate:
        return None
