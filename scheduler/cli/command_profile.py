"""How a command opens the program."""

from __future__ import annotations

import sys
from typing import TextIO

from config.settings.model import Settings
from jobs.checks.addresses import OwnEndpoint
from scheduler.app.profile import HostProfile, server_endpoints
from scheduler.worker.options import COMMAND_OPTIONS


class CommandProfile(HostProfile):
    """A process that runs next to a server: it takes nothing that the server needs for itself."""

    worker_options = COMMAND_OPTIONS
    owns_store_file = False
    # It runs few of the jobs, and nothing else waits for its event loop.
    prepares_each_run = True

    def own_endpoints(self, settings: Settings) -> tuple[OwnEndpoint, ...]:
        """Return where the API of the server is, which no check may request."""
        return server_endpoints(settings)

    def log_stream(self) -> TextIO:
        """Return stderr: the command's output is on stdout."""
        return sys.stderr

    def log_level(self, settings: Settings) -> str:
        """Return `warning`: the log of a command reports trouble only."""
        return "warning"
