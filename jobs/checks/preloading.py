"""Load what connections need on their first use. Called by the checks as they prepare a target.

Libraries load some of it deep inside an attempt; a test fails if something is missing here.
"""

from __future__ import annotations

from importlib import import_module

from jobs.certificates import preload_certificate_reader

HTTP2_MODULE = "jobs.checks.http_transport.http2"


def preload_idna() -> None:
    """Load the codec that resolving a host or naming it in a handshake needs."""
    import_module("encodings.idna")


def preload_run_ids() -> None:
    """Load what parsing the instant in a run's id needs: `datetime.strptime` imports its module on its first call."""
    import_module("_strptime")


def preload_tls() -> None:
    """Load what reading a target's certificate needs."""
    preload_idna()
    preload_certificate_reader()


def preload_http2() -> None:
    """Load httpcore and h2: half a second, and few targets need them."""
    import_module(HTTP2_MODULE)
    # httpcore's locks are anyio's, which imports its asyncio part when the first one is made.
    import_module("anyio._backends._asyncio")
