"""Hosts with ports: the default port of a scheme, and the text `host:port`. Used by targets and checks. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


def effective_port(scheme: str, port: int | None) -> int:
    """Return the port of a URL, or else the default one of its scheme."""
    return port or DEFAULT_PORTS.get(scheme, 80)


def host_and_port(url: str) -> tuple[str, int]:
    """Return the host (empty if the URL has none) and the effective port of a URL. Raises ValueError."""
    parts = urlsplit(url)
    return parts.hostname or "", effective_port(parts.scheme, parts.port)


def format_host_port(host: str, port: int) -> str:
    """Format host and port: `db.internal:5432`, `[::1]:5432`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
