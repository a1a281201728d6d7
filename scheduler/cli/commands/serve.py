"""`serve`: run the embedded host until a signal stops it."""

from __future__ import annotations

import os
from functools import partial
from typing import Annotated

import typer

from scheduler.cli.output import EXIT_BAD_INPUT, EXIT_FAILED, fail


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. (default: setting host, 127.0.0.1)")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on; 0: any free port. (default: setting port, 7071)"),
    ] = None,
) -> None:
    """Serve the API and the dashboard, and run every job on its schedule.

    SIGTERM or Ctrl-C stops it: runs in progress get a few seconds to finish. A second signal stops it at once. With an
    invalid configuration nothing starts.

    \b
    Examples:
      serve
      serve --port 8080
      SCHEDULER_JOBS=/etc/jobs SCHEDULER_ENVIRONMENT=prod python -m scheduler serve
    """
    from config.settings.fields import LOOPBACK_HOSTS
    from scheduler.cli.context import ROOT, load_for_command

    if host is not None and host not in LOOPBACK_HOSTS:
        choices = ", ".join(LOOPBACK_HOSTS)
        fail(f"--host: expected one of {choices}, got {host}: without allow_remote the API stays on loopback")
    from scheduler.app.authentication_setup import IdentityMissing
    from scheduler.hosts.embedded.host import serve as serve_until_signal
    from scheduler.hosts.embedded.listeners import PortInUse
    from scheduler.stores.port import StoreError

    def report(reason: str) -> None:
        from scheduler.app import report_failed_start

        report_failed_start(os.environ, root=ROOT, host="embedded", reason=reason)

    try:
        serve_until_signal(partial(load_for_command, "serve", on_failure=report), host=host, port=port)
    except IdentityMissing as error:
        report(str(error))
        fail(str(error), EXIT_BAD_INPUT)
    except (PortInUse, StoreError) as error:
        fail(str(error), EXIT_FAILED)
