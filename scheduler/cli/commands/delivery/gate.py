"""`gate`: mark a deployment, run its jobs for a time, and accept or refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.delivery.connection import KEY_VARIABLE, KeyOption, ReadKeyOption, UrlOption, read_connection
from scheduler.cli.delivery.reports.instants import ZoneOption
from scheduler.cli.output import EXIT_FAILED, fail, show_json
from scheduler.cli.selection import AllOption

if TYPE_CHECKING:
    from datetime import tzinfo

    from jobs.ports import Clock
    from scheduler.app import Program
    from scheduler.cli.delivery.connection import Connection
    from scheduler.cli.gate.options import GateOptions
    from scheduler.cli.gate.port import GateScheduler
    from scheduler.cli.gate.watching import GateReport

_TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY:VALUE", help="Jobs with this tag; repeated: with all of them."),
]
_NameOption = Annotated[
    list[str] | None, typer.Option("--name", metavar="PATTERN", help="Jobs whose name matches: * is any text.")
]
_ForOption = Annotated[str, typer.Option("--for", metavar="TIME", help="How long the jobs are run.")]
_MarkerOption = Annotated[
    str | None, typer.Option("--marker", metavar="TEXT", help="Mark the deployment in charts, such as by its commit.")
]
_BeforeOption = Annotated[
    str, typer.Option("--before", metavar="TIME", help="Runs of this time before the deployment are compared.")
]
_DeployedOption = Annotated[
    str | None,
    typer.Option("--deployed-at", metavar="WHEN", help="ISO 8601, UTC by default. (default: now)", show_default=False),
]
_SlowdownOption = Annotated[
    float, typer.Option("--slowdown", min=1.0, max=100.0, help="How many times slower is allowed; plus 50 ms.")
]


def gate(
    tags: _TagOption = None,
    names: _NameOption = None,
    every: AllOption = False,
    duration: _ForOption = "10m",
    marker: _MarkerOption = None,
    url: UrlOption = None,
    key_variable: KeyOption = KEY_VARIABLE,
    read_key_variable: ReadKeyOption = None,
    before: _BeforeOption = "1h",
    deployed_at: _DeployedOption = None,
    slowdown: _SlowdownOption = 1.5,
    ignore_times: Annotated[bool, typer.Option("--ignore-times", help="Compare failures only.")] = False,
    zone: ZoneOption = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run the jobs of a deployment at once and each 15 s, and compare them with the time before.

    Failures and times are compared. The gate ends early if it is certain that it refuses. Exit code 0: accepted, 1:
    refused, or the scheduler does not answer, 2: invalid input, or no job matches, 130: interrupted.

    \b
    Examples:
      gate --tag team:payments --for 10m --marker 4ebecbce --url https://scheduler.example.com
      gate --name 'checkout-*' --for 5m --ignore-times
    """
    from scheduler.cli.delivery.reports.instants import parse_zone_option
    from scheduler.cli.gate.options import GateOptions

    if as_json and as_markdown:
        fail("--json and --markdown exclude each other")
    options = GateOptions.parse(
        tags, names, every, duration, before, marker, deployed_at, None if ignore_times else slowdown
    )
    shown_zone = parse_zone_option(zone)
    report = _run(options, read_connection(url, key_variable, read_key_variable))
    if as_json:
        from scheduler.cli.gate.report import gate_to_json

        show_json(gate_to_json(report))
    else:
        _show(report, shown_zone if as_markdown else None, marker or "")
    if not report.is_accepted:
        raise typer.Exit(EXIT_FAILED)


def _run(options: GateOptions, connection: Connection | None) -> GateReport:
    from jobs.running.clocks import SystemClock
    from scheduler.cli.gate.port import GateUnavailable

    clock = SystemClock()

    try:
        if connection is not None:
            from scheduler.cli.delivery.connection import run_remote
            from scheduler.cli.gate.api_scheduler import ApiGateScheduler

            return run_remote(connection, lambda api: _watch(options, ApiGateScheduler(api, clock), clock))
        from scheduler.cli.context import load_for_command
        from scheduler.cli.mutations import quiet_run_log, run_changing

        configuration = load_for_command("gate")
        with quiet_run_log():
            return run_changing(configuration, lambda program: _watch_store(options, program, clock))
    except GateUnavailable as error:
        fail(str(error), EXIT_FAILED)


async def _watch_store(options: GateOptions, program: Program, clock: Clock) -> GateReport:
    from scheduler.cli.gate.store_scheduler import StoreGateScheduler

    try:
        return await _watch(options, StoreGateScheduler(program), clock)
    finally:
        # An early end, or Ctrl-C: runs in-flight end now, and history shows it.
        await program.worker.drain(0)


async def _watch(options: GateOptions, scheduler: GateScheduler, clock: Clock) -> GateReport:
    from dataclasses import replace

    from scheduler.cli.gate.judgement import GatePolicy
    from scheduler.cli.gate.port import GateUnavailable
    from scheduler.cli.gate.progress import show_rounds
    from scheduler.cli.gate.selecting import select_gate_jobs
    from scheduler.cli.gate.watching import GateRequest, GateWatch

    jobs = select_gate_jobs(await scheduler.read_jobs(), options.selection)
    if not jobs:
        fail(f"no enabled job matches {options.selection}" if str(options.selection) else "there are no enabled jobs")
    now = await scheduler.read_now()
    deployed_at = options.deployed_at or now
    if deployed_at > now:
        fail("--deployed-at: the instant is in the future")
    notes: list[str] = []
    if options.marker is not None:
        try:
            await scheduler.mark(options.marker, options.marker_tags, deployed_at)
        except GateUnavailable as error:
            notes.append(f"the deployment was not marked: {error}")
    with show_rounds(clock) as on_round:
        watch = GateWatch(scheduler, clock, GatePolicy(slowdown=options.slowdown), on_round)
        report = await watch.run(GateRequest(jobs, deployed_at, now, options.duration, options.before))
    return replace(report, notes=[*notes, *report.notes])


def _show(report: GateReport, zone: tzinfo | None, marker: str) -> None:
    """`zone`: of Markdown; None: text."""
    from scheduler.cli.gate.report import show_gate, write_gate

    if zone is None:
        show_gate(report)
    else:
        print(write_gate(report, marker, zone), end="")
