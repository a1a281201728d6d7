"""Loads what connections need on their first use. Called by the checks as they prepare a target.

Some of it is loaded by other libraries, deep inside an attempt; a test says when something is missing here.
"""

from __future__ import annotations

from importlib import import_module

from jobs.certificates import preload_certificate_reader

HTTP2_MODULE = "jobs.checks.http_transport.http2"


def preload_idna() -> None:
    """What looking up a host or naming one in a handshake needs: Python loads its codec when it first meets a name."""
    import_module("encodings.idna")


def preload_run_ids() -> None:
    """What reading the instant in a run's id needs: `datetime.strptime` loads its module on its first call."""
    import_module("_strptime")


def preload_tls() -> None:
    """What reading the certificate of a target needs."""
    preload_idna()
    preload_certificate_reader()


def preload_http2() -> None:
    """httpcore and h2: half a second, and few targets need them."""
    import_module(HTTP2_MODULE)
    # httpcore takes its locks from anyio, which loads the part for asyncio as the first of them is made.
    import_module("anyio._backends._asyncio")
