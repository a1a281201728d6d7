"""`serve`: run the embedded host until a signal stops it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scheduler.cli.output import EXIT_BAD_INPUT, EXIT_FAILED, fail

if TYPE_CHECKING:
    from config.loading import Configuration
    from config.settings.model import Settings

_PROCESSES_HELP = (
    "Processes that execute runs; auto: further ones start under load, one for each core at most. "
    "(default: setting processes, auto)"
)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. (default: setting host, 127.0.0.1)")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on; 0: any free port. (default: setting port, 7071)"),
    ] = None,
    processes: Annotated[str | None, typer.Option(metavar="auto|N", help=_PROCESSES_HELP)] = None,
) -> None:
    """Serve the API and the dashboard, and run every job on its schedule.

    SIGTERM or Ctrl-C stops it: runs in progress get a few seconds to finish. A second signal stops it at once. With an
    invalid configuration nothing starts. SIGHUP reads the job files again.

    \b
    Examples:
      serve
      serve --port 8080
      SCHEDULER_JOBS=/etc/jobs SCHEDULER_ENVIRONMENT=prod python -m scheduler serve
    """
    from scheduler.app.authentication_setup import IdentityMissing
    from scheduler.cli.context import ROOT, load_for_command
    from scheduler.hosts.embedded.host import serve as serve_until_signal
    from scheduler.hosts.embedded.server import PortInUse
    from scheduler.stores.port import StoreError

    def report(reason: str) -> None:
        from scheduler.app import report_failed_start

        report_failed_start(os.environ, root=ROOT, host="embedded", reason=reason)

    def load(sample_target: str) -> Configuration:
        configuration = load_for_command("serve", sample_target, on_failure=report)
        if host is not None:
            _check_host(host, configuration.settings)
        return configuration

    try:
        serve_until_signal(load, host=host, port=port, processes=_read_processes(processes))
    except IdentityMissing as error:
        report(str(error))
        fail(str(error), EXIT_BAD_INPUT)
    except (PortInUse, StoreError) as error:
        fail(str(error), EXIT_FAILED)


def _read_processes(text: str | None) -> int | Literal["auto"] | None:
    """Return the value of the option; end the command with 2 if it is invalid."""
    from config.settings.fields import parse_processes

    try:
        return None if text is None else parse_processes(text)
    except ValueError as error:
        fail(f"--processes: {error}")


def _check_host(host: str, settings: Settings) -> None:
    """End the command with 2 if the settings do not allow this address."""
    from config.settings.fields import LOOPBACK_HOSTS, check_address

    if not settings.allow_remote and host not in LOOPBACK_HOSTS:
        fail(
            f"--host: expected one of {', '.join(LOOPBACK_HOSTS)}, got {host}: without allow_remote "
            "(SCHEDULER_ALLOW_REMOTE=true) the API stays on loopback"
        )
    try:
        check_address(host, allow_remote=True)
    except ValueError as error:
        fail(f"--host: {error}")
