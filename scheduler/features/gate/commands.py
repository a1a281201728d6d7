"""`gate`: mark a deployment, run its jobs for a time, and accept or refuse it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from jobs.formats import describe_span
from scheduler.cli.output import (
    EXIT_FAILED,
    Column,
    create_console,
    fail,
    is_terminal,
    print_error,
    print_note,
    show_json,
    show_table,
    show_tabs,
)
from scheduler.cli.reach import find_connection
from scheduler.cli.selection import AllOption
from scheduler.cli.times import ZoneOption

if TYPE_CHECKING:
    from datetime import tzinfo

    from jobs.ports import Clock
    from scheduler.app import Program
    from scheduler.cli.connection import Connection
    from scheduler.features.gate.judgement import RunSample
    from scheduler.features.gate.watching import GateReport, GateRound, GateScheduler
    from scheduler.features.jobs.selection import JobSelection

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


_FIELDS = ("job", "side", "runs", "failed", "p50_ms", "p95_ms")
"""Columns for a program."""
MAX_DURATION: Final = 3600.0
"""A total outage among so many runs is certain after a few minutes."""
MAX_BEFORE: Final = 7 * 24 * 3600.0
MIN_SECONDS: Final = 1.0
LINE_INTERVAL: Final = 60.0
"""Seconds between two lines in the log of a pipeline; a further failure is a line at once."""


def gate(
    tags: _TagOption = None,
    names: _NameOption = None,
    every: AllOption = False,
    duration: _ForOption = "10m",
    marker: _MarkerOption = None,
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
    from scheduler.cli.times import parse_zone_option

    if as_json and as_markdown:
        fail("--json and --markdown exclude each other")
    options = GateOptions.parse(
        tags, names, every, duration, before, marker, deployed_at, None if ignore_times else slowdown
    )
    shown_zone = parse_zone_option(zone)
    report = _run(options, find_connection())
    if as_json:
        from scheduler.features.gate.report import gate_to_json

        show_json(gate_to_json(report))
    else:
        _show(report, shown_zone if as_markdown else None, marker or "")
    if not report.is_accepted:
        raise typer.Exit(EXIT_FAILED)


def _run(options: GateOptions, connection: Connection | None) -> GateReport:
    from jobs.running.clocks import SystemClock

    clock = SystemClock()
    if connection is not None:
        from scheduler.cli.connection import run_remote
        from scheduler.features.delivery.api_scheduler import ApiScheduler

        return run_remote(connection, lambda api: _watch(options, ApiScheduler(api, clock), clock))
    from scheduler.cli.context import load_for_command, quiet_run_log, run_changing

    configuration = load_for_command("gate")
    with quiet_run_log():
        return run_changing(configuration, lambda program: _watch_store(options, program, clock))


async def _watch_store(options: GateOptions, program: Program, clock: Clock) -> GateReport:
    from scheduler.features.delivery.store_scheduler import StoreScheduler

    try:
        return await _watch(options, StoreScheduler(program), clock)
    finally:
        # An early end, or Ctrl-C: runs in-flight end now, and history shows it.
        await program.worker.drain(0)


async def _watch(options: GateOptions, scheduler: GateScheduler, clock: Clock) -> GateReport:
    """Run the gate. A scheduler that does not answer, or refuses a request, ends the command with 1."""
    from scheduler.features.gate.watching import UNAVAILABLE

    try:
        return await _watch_jobs(options, scheduler, clock)
    except UNAVAILABLE as error:
        fail(str(error), EXIT_FAILED)


async def _watch_jobs(options: GateOptions, scheduler: GateScheduler, clock: Clock) -> GateReport:
    from dataclasses import replace

    from scheduler.features.gate.judgement import GatePolicy
    from scheduler.features.gate.watching import UNAVAILABLE, GateRequest, GateWatch, select_gate_jobs

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
        except UNAVAILABLE as error:
            notes.append(f"the deployment was not marked: {error}")
    with show_rounds(clock) as on_round:
        watch = GateWatch(scheduler, clock, GatePolicy(slowdown=options.slowdown), on_round)
        report = await watch.run(GateRequest(jobs, deployed_at, now, options.duration, options.before))
    return replace(report, notes=[*notes, *report.notes])


def _show(report: GateReport, zone: tzinfo | None, marker: str) -> None:
    """`zone`: of Markdown; None: text."""
    if zone is None:
        _show_text(report)
    else:
        from scheduler.features.gate.report import write_gate

        print(write_gate(report, marker, zone), end="")


def _show_text(report: GateReport) -> None:
    """Print the figures of each job, then why the deployment is refused, and the result."""
    from scheduler.features.gate.report import describe_finding, list_figures, summarize

    if is_terminal():
        columns = (
            Column("job", "bold"),
            Column("runs", align_right=True),
            Column("failed", align_right=True),
            Column("median", align_right=True),
            Column("p95", align_right=True),
            Column("before: runs", align_right=True),
            Column("failed", align_right=True),
            Column("median", align_right=True),
            Column("p95", align_right=True),
        )
        show_table(
            columns, [(each.name, *list_figures(each.after), *list_figures(each.before)) for each in report.evidence]
        )
    else:
        sides = [
            (each.name, side, *_to_cells(samples))
            for each in report.evidence
            for side, samples in (("after", each.after), ("before", each.before))
        ]
        show_tabs(_FIELDS, sides)
    for note in report.notes:
        print_note(f"note: {note}")
    for finding in report.findings:
        print_error(describe_finding(finding))
    print_note(summarize(report))


def _to_cells(samples: Sequence[RunSample]) -> tuple[str, ...]:
    from scheduler.features.gate.report import SideFigures

    found = SideFigures.from_samples(samples)
    times = ("" if value is None else f"{value:.3f}" for value in (found.p50_ms, found.p95_ms))
    return str(found.runs), str(found.failed), *times


@dataclass(frozen=True, slots=True)
class GateOptions:
    """`duration`, `before`: seconds. `slowdown` None: times are not compared. `marker` None: nothing is marked."""

    selection: JobSelection
    duration: float
    before: float
    marker: str | None
    deployed_at: datetime | None
    slowdown: float | None

    @property
    def marker_tags(self) -> dict[str, str]:
        """The tags of the marker: it concerns the jobs that have all of them."""
        return {tag.key: tag.value for tag in self.selection.tags if tag.value is not None}

    @classmethod
    def parse(
        cls,
        tags: Sequence[str] | None,
        names: Sequence[str] | None,
        every: bool,
        duration: str,
        before: str,
        marker: str | None,
        deployed_at: str | None,
        slowdown: float | None,
    ) -> GateOptions:
        """Return the options."""
        from scheduler.cli.selection import parse_selection_options
        from scheduler.cli.times import parse_instant_option

        selection = parse_selection_options(
            names=names, tags=[normalize_tag(tag) for tag in tags or ()], name_option="--name"
        )
        if selection.is_empty and not every:
            fail("give --tag or --name; --all selects all jobs")
        if every and not selection.is_empty:
            fail(f"--all and a filter exclude each other: {selection}")
        return cls(
            selection,
            _parse_seconds("--for", duration, MAX_DURATION),
            _parse_seconds("--before", before, MAX_BEFORE),
            None if marker is None else _check_marker(marker),
            parse_instant_option("--deployed-at", deployed_at),
            slowdown,
        )


def normalize_tag(tag: str) -> str:
    """Return `team=payments` for `team:payments`, the form of tags elsewhere."""
    return tag if "=" in tag else tag.replace(":", "=", 1)


def _parse_seconds(option: str, text: str, longest: float) -> float:
    from jobs.formats import format_duration
    from scheduler.cli.times import parse_duration_option

    seconds = parse_duration_option(option, text) or 0.0
    if not MIN_SECONDS <= seconds <= longest:
        fail(f"{option}: expected 1s to {format_duration(longest)}, got {text!r}")
    return seconds


def _check_marker(text: str) -> str:
    from scheduler.features.changes.markers import MAX_MARKER_TEXT

    stripped = text.strip()
    if not stripped or len(stripped) > MAX_MARKER_TEXT or not stripped.isprintable():
        fail(f"--marker: expected a text of 1 to {MAX_MARKER_TEXT} characters on one line, such as a commit")
    return stripped


@contextmanager
def show_rounds(clock: Clock) -> Iterator[Callable[[GateRound], None]]:
    """Show each round until the context ends."""
    if is_terminal():
        with create_console().status("starting") as status:
            yield lambda round: status.update(describe_round(round))
        return
    shown_at, failed = float("-inf"), 0

    def show(round: GateRound) -> None:
        nonlocal shown_at, failed
        now = clock.monotonic()
        if now - shown_at >= LINE_INTERVAL or round.failed > failed:
            shown_at, failed = now, round.failed
            print_note(describe_round(round))

    yield show


def describe_round(round: GateRound) -> str:
    """`24 runs, 1 failed; 9 min 45 s left`."""
    return f"{round.finished} runs, {round.failed} failed; {describe_span(round.left)} left"
