"""Loads what connections need on their first use. Called by the checks as they prepare a target.

Some of it is loaded by other libraries, deep inside an attempt; a test says when something is missing here.
"""

from __future__ import annotations

from importlib import import_module

from jobs.certificates import load_reader

HTTP_2 = "jobs.checks.http2"


def load_names() -> None:
    """What looking up a host or naming one in a handshake needs: Python loads its codec when it first meets a name."""
    import_module("encodings.idna")


def load_run_ids() -> None:
    """What reading the instant in a run's id needs: `datetime.strptime` loads its module on its first call."""
    import_module("_strptime")


def load_tls() -> None:
    """What reading the certificate of a target needs."""
    load_names()
    load_reader()


def load_http2() -> None:
    """httpcore and h2: half a second, and few targets need them."""
    import_module(HTTP_2)
    # httpcore takes its locks from anyio, which loads the part for asyncio as the first of them is made.
    import_module("anyio._backends._asyncio")
