"""Reports the state of the embedded host to systemd (sd_notify), for Type=notify. Called by hosts.embedded.host.

Life is reported by the event loop: a loop that is stuck for WatchdogSec lets systemd restart the host.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping

_log = logging.getLogger("scheduler.hosts.embedded.service_manager")

SOCKET_VARIABLE = "NOTIFY_SOCKET"
WATCHDOG_VARIABLE = "WATCHDOG_USEC"
REPORTS_PER_TIMEOUT = 3


async def report_state(environ: Mapping[str, str]) -> None:
    """Report that the host is ready, that it lives until this is cancelled, and then that it stops."""
    timeout = int(environ.get(WATCHDOG_VARIABLE) or 0) / 1e6
    _send(environ, "READY=1")
    try:
        while True:
            await asyncio.sleep(timeout / REPORTS_PER_TIMEOUT or 3600.0)
            if timeout:
                _send(environ, "WATCHDOG=1")
    finally:
        _send(environ, "STOPPING=1")


def _send(environ: Mapping[str, str], state: str) -> None:
    address = environ[SOCKET_VARIABLE]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            # A first @ stands for the zero byte of Linux's abstract addresses.
            sender.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            _log.warning("could not report %s to systemd: %s; the next report follows", state, error)
