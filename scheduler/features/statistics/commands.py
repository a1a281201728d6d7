"""`stats` shows how runs went in a period, also those that are deleted; `export` writes runs or statistics."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from scheduler.cli.listing import Field, show_items, show_model
from scheduler.cli.output import EXIT_FAILED, Column, escape_controls, fail, print_note
from scheduler.cli.reach import find_connection
from scheduler.cli.times import format_milliseconds
from scheduler.features.statistics.period_options import (
    CompareOption,
    FromOption,
    MonthOption,
    NamesOption,
    OtherOption,
    PeriodOptions,
    SlowestOption,
    SortOption,
    TagsOption,
    ToOption,
    TrendOption,
    WindowOption,
    ZoneOption,
    choose_order,
    choose_preset,
    parse_selection_options,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jobs.runs import Outcome
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.jobs.selection import JobSelection
    from scheduler.features.statistics.exports import ExportFormat
    from scheduler.features.statistics.models import (
        ComparisonModel,
        DifferenceModel,
        FigureModel,
        JobStatsModel,
        SelectionStatsModel,
        SlowestModel,
        SlowRowModel,
        StatsModel,
    )

    Shown = JobStatsModel | SelectionStatsModel | SlowestModel | ComparisonModel


class Question(NamedTuple):
    """What `stats` shows. `slowest`: by what, in the order `sort`; `compare`, `other_job`: with what."""

    options: PeriodOptions
    selection: JobSelection
    job: str | None
    other_job: str | None
    compare: str | None
    slowest: str | None
    sort: str


_JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", help="Print JSON, as GET /api/stats, /api/jobs/JOB/stats, /api/stats/slowest or /comparison."
    ),
]


def stats(
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="Job name. (default: all jobs)")] = None,
    window: WindowOption = None,
    since: FromOption = None,
    until: ToOption = None,
    month: MonthOption = None,
    timezone: ZoneOption = None,
    names: NamesOption = None,
    tags: TagsOption = None,
    slowest: SlowestOption = None,
    sort: SortOption = None,
    compare: CompareOption = None,
    other_job: OtherOption = None,
    trend: TrendOption = False,
    as_json: _JsonOption = False,
) -> None:
    """Show counts, success rate, uptime and durations of the runs of a period, also of deleted runs.

    Of a job, or of all jobs that match the options. --tag KEY adds a line for each value of the tag.

    \b
    Examples:
      stats checkout-api --window 7d
      stats --tag team --month 2026-11 --timezone Europe/Berlin
      stats --name 'checkout-*' --from 2026-11-01 --to 2026-11-15 --json
      stats --slowest job --sort slower --tag team=payments
      stats checkout-api --compare deployment
      stats checkout-api --trend --timezone Europe/Berlin
    """
    from scheduler.cli.context import exit_if_incomplete, load_for_command, run_in_store
    from scheduler.cli.selection import require_job

    options = PeriodOptions(window, since, until, month, timezone)
    selection = parse_selection_options(names, tags)
    configuration = load_for_command("stats")
    for name in filter(None, (job, other_job)):
        require_job(configuration, name)
    preset, order = choose_preset(compare, trend=trend), choose_order(slowest, sort)
    question = Question(options, selection, job, other_job, preset, slowest, order)
    read = _read if find_connection() is None else _read_remotely
    shown = run_in_store(configuration, lambda program: read(program, question))
    _show_found(shown, as_json=as_json)
    exit_if_incomplete(configuration)


def _show_found(shown: Shown, *, as_json: bool) -> None:
    from scheduler.features.statistics.models import ComparisonModel, JobStatsModel, SlowestModel

    if as_json:
        show_model(shown)
    elif isinstance(shown, SlowestModel):
        show_items(shown.rows, list(_list_slow_fields()))
        counts = f"the first {len(shown.rows)} of {shown.groups}, {shown.slower} got slower"
        print_note(f"{counts}: {_describe_period(shown)}")
    elif isinstance(shown, ComparisonModel):
        show_items(shown.figures, list(_list_figure_fields(has_weekdays=shown.weekdays is not None)))
        for name, side in (("this", shown.this), ("other", shown.other)):
            print_note(f"{name}: {side.of}, {_describe_period(side)}")
        if shown.weekdays is not None:
            print_note(f"weekdays: {shown.weekdays.summary}")
    elif isinstance(shown, JobStatsModel):
        _show([(shown.job, 1, shown.stats)])
    else:
        groups = [(group.value, group.jobs, group.stats) for group in shown.by_value]
        _show([*groups, ("all", shown.jobs, shown.stats)])


async def _read(program: ReadOnlyProgram, question: Question) -> Shown:
    from scheduler.features.statistics.comparison import ComparisonRequest
    from scheduler.features.statistics.models import JobStatsModel
    from scheduler.features.statistics.periods import InvalidTimeRange, parse_zone
    from scheduler.features.statistics.queries import view_selection, view_stats

    options, selection, job, other_job, compare, slowest, sort = question
    period, zone = options.parse_period(program.stats.oldest), parse_zone(options.timezone)
    if slowest is not None:
        return await program.slowest.read(selection, period, by=slowest, sort=sort)
    if compare is not None or other_job is not None:
        try:
            request = ComparisonRequest(job, other_job, compare, period, None, zone)
            periods = await program.comparisons.choose(request, selection)
        except InvalidTimeRange as error:
            fail(f"--compare: {error}")
        return await program.comparisons.compare(periods, job, other_job, selection)
    if job is not None:
        return JobStatsModel(job=job, stats=view_stats(await program.stats.read_job(job, period, zone)))
    tag = next((tag.key for tag in selection.tags if tag.value is None), None)
    return view_selection(await program.stats.read_selection(selection, period, zone, tag), tag)


async def _read_remotely(program: Any, question: Question) -> Shown:
    options, selection, job, other_job, compare, slowest, sort = question
    period, statistics = options.as_params(), program.statistics
    found: Shown
    if slowest is not None:
        found = await statistics.read_slowest(selection, period, by=slowest, sort=sort)
    elif compare is not None or other_job is not None:
        found = await statistics.compare(selection, period, job=job, other_job=other_job, preset=compare)
    else:
        found = await (
            statistics.read_selection(selection, period) if job is None else statistics.read_job(job, period)
        )
    return found


def _describe_period(period: Any) -> str:
    return f"runs due from {period.since:%Y-%m-%dT%H:%MZ} to {period.until:%Y-%m-%dT%H:%MZ}"


def _list_slow_fields() -> Iterator[Field[SlowRowModel]]:
    yield Field("value", lambda row: row.value, Column("of", "bold"))
    yield Field("jobs", lambda row: str(row.jobs), Column("jobs", align_right=True))
    yield Field("runs", lambda row: str(row.runs), Column("runs", align_right=True))
    for name in ("p95", "p95_before", "p95_change", "p50", "p99"):
        yield _slow_field(name)


def _slow_field(name: str) -> Field[SlowRowModel]:
    def text(row: SlowRowModel) -> str:
        value = getattr(row, name)
        return "" if value is None else f"{value:.3f}"

    def cell(row: SlowRowModel) -> str:
        value = getattr(row, name)
        sign = "-" if value is not None and value < 0 else "+" if name == "p95_change" and value else ""
        return sign + format_milliseconds(None if value is None else abs(value))

    return Field(f"{name}_ms", text, Column(name.replace("_", " "), align_right=True), cell)


def _list_figure_fields(*, has_weekdays: bool) -> Iterator[Field[FigureModel]]:
    yield Field("figure", lambda figure: figure.name, Column("figure", "bold"))
    yield Field("unit", lambda figure: figure.unit)
    yield _value_field("this", lambda figure: figure.this)
    yield from _list_change_fields("other", "", lambda figure: figure)
    if has_weekdays:
        yield from _list_change_fields("weekdays", "weekdays_", lambda figure: figure.weekdays)


def _value_field(name: str, find: Callable[[FigureModel], float | None]) -> Field[FigureModel]:
    from scheduler.features.statistics.comparison import format_figure

    def cell(figure: FigureModel) -> str:
        return format_figure(figure.unit, find(figure))

    return Field(name, lambda figure: _format_number(find(figure)), Column(name, align_right=True), cell)


def _format_number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _list_change_fields(
    name: str, prefix: str, find: Callable[[FigureModel], FigureModel | DifferenceModel | None]
) -> Iterator[Field[FigureModel]]:
    from scheduler.features.statistics.comparison import describe_difference

    def get(figure: FigureModel, field: str) -> Any:
        return getattr(find(figure), field, None)

    def cell(figure: FigureModel) -> str:
        change = find(figure)
        return "not known" if change is None else describe_difference(figure.unit, change)

    column = Column("difference", align_right=True)
    yield _value_field(name, lambda figure: get(figure, "other"))
    yield Field(f"{prefix}difference", lambda figure: _format_number(get(figure, "difference")), column, cell)
    worse = {True: "worse", False: "better"}
    yield Field(f"{prefix}worse", lambda figure: worse.get(get(figure, "worse"), ""), Column(""))


_Line = tuple[str, int, "StatsModel"]
"""A job, a value of a tag or `all`, with its number of jobs."""


def _show(lines: Sequence[_Line]) -> None:
    show_items(lines, list(_list_fields()))
    period, is_complete = lines[-1][2], all(stats.complete for *_, stats in lines)
    missing = "" if is_complete else "; not all runs of it are counted, see rollups.age"
    print_note(f"runs due from {period.since:%Y-%m-%dT%H:%MZ} to {period.until:%Y-%m-%dT%H:%MZ}{missing}")


def _list_fields() -> Iterator[Field[_Line]]:
    from jobs.runs import Outcome

    def count(outcome: Outcome) -> Callable[[_Line], str]:
        return lambda line: str(getattr(line[2].outcomes, outcome.value))

    def right(title: str) -> Column:
        return Column(title, align_right=True)

    yield Field("of", lambda line: line[0], Column("of", "bold"))
    yield Field("jobs", lambda line: str(line[1]), right("jobs"))
    yield Field("runs", lambda line: str(line[2].runs), right("runs"))
    yield from (Field(outcome.value, count(outcome)) for outcome in Outcome)
    yield _ratio_field("success_rate", "success", lambda stats: stats.success_rate)
    yield Field("", lambda line: _describe_change(line[2]), right("change"))
    yield _ratio_field("uptime", "uptime", lambda stats: stats.uptime)
    yield from map(_duration_field, (50, 95, 99))


def _ratio_field(name: str, title: str, find: Callable[[StatsModel], float | None]) -> Field[_Line]:
    def text(line: _Line) -> str:
        value = find(line[2])
        return "" if value is None else f"{value:.6f}"

    def cell(line: _Line) -> str:
        value = find(line[2])
        return "-" if value is None else f"{value:.3%}"

    return Field(name, text, Column(title, align_right=True), cell)


def _duration_field(percent: int) -> Field[_Line]:
    def find(line: _Line) -> float | None:
        value: float | None = getattr(line[2].duration, f"p{percent}")
        return value

    def text(line: _Line) -> str:
        value = find(line)
        return "" if value is None else f"{value:.3f}"

    title = Column(f"p{percent}", align_right=True)
    return Field(f"duration_p{percent}_ms", text, title, lambda line: format_milliseconds(find(line)))


def _describe_change(stats: StatsModel) -> str:
    """Return the success rate minus that of the period before."""
    change = None if stats.before is None else stats.before.success_rate_change
    return "-" if change is None else f"{change:+.2%}"


class ExportSubject(StrEnum):
    RUNS = "runs"
    STATS = "stats"


class OutputFormat(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


def export(
    subject: Annotated[ExportSubject, typer.Argument(help="What to export.")],
    format: Annotated[OutputFormat, typer.Option("--format", help="JSON lines or CSV.")] = OutputFormat.JSONL,
    window: WindowOption = None,
    since: FromOption = None,
    until: ToOption = None,
    month: MonthOption = None,
    timezone: ZoneOption = None,
    names: NamesOption = None,
    tags: TagsOption = None,
    job: Annotated[str | None, typer.Option("--job", help="Only runs of this job.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="Only runs with this outcome.")] = None,
) -> None:
    """Write runs, newest first, or the statistics of each job to standard output.

    The last line has the number of rows and whether the export is complete.

    \b
    Examples:
      export runs --month 2026-11 --timezone Europe/Berlin --format csv > runs.csv
      export runs --job checkout-api --outcome failed --from 7d
      export stats --window 90d --tag team=payments
    """
    from scheduler.cli.context import exit_if_incomplete, load_for_command, run_in_store
    from scheduler.features.statistics.exports import STATS_FIELDS, ExportFormat, export_lines, export_stats

    _check_options(subject, bool(window or names or tags), job, outcome)
    options = PeriodOptions(window, since, until, month, timezone)
    selection, chosen = parse_selection_options(names, tags), ExportFormat(format)
    configuration = load_for_command("export")

    async def write(program: ReadOnlyProgram) -> bool:
        if find_connection() is not None:
            filters = {"job": job, "outcome": outcome, "name": selection.names, "tag": list(map(str, selection.tags))}
            return await _print_remote(program, subject, format=chosen, **filters, **options.as_params())
        if subject is ExportSubject.RUNS:
            return await _print(_run_chunks(program, options, job, outcome, chosen))
        rows = export_stats(program.stats, selection, options.parse_period(program.stats.oldest))
        return await _print(export_lines(STATS_FIELDS, rows, chosen))

    if not run_in_store(configuration, write):
        raise typer.Exit(EXIT_FAILED)
    if subject is ExportSubject.STATS:
        exit_if_incomplete(configuration)


def _check_options(subject: ExportSubject, has_stats_filter: bool, job: str | None, outcome: str | None) -> None:
    from scheduler.stores.runs.repository import RUN_FILTERS

    if subject is ExportSubject.RUNS and has_stats_filter:
        fail("--window, --name and --tag apply to stats: use --from, --month or --job")
    if subject is ExportSubject.STATS and (job or outcome):
        fail("--job and --outcome apply to runs: use --name")
    if outcome is not None and outcome not in RUN_FILTERS:
        fail(f"--outcome: expected one of {', '.join(RUN_FILTERS)}, got {outcome!r}")


def _run_chunks(
    program: ReadOnlyProgram, options: PeriodOptions, job: str | None, outcome: str | None, format: ExportFormat
) -> AsyncIterator[str]:
    from scheduler.features.statistics.exports import RUN_FIELDS, export_lines, export_runs

    rows = export_runs(program.queries, job=job, outcome=outcome, due=options.parse_range())
    return export_lines(RUN_FIELDS, rows, format)


async def _print_remote(program: Any, subject: ExportSubject, **params: Any) -> bool:
    text: str = await program.statistics.export(subject.value, **params)
    *lines, last = text.splitlines(keepends=True) or [""]
    for line in (*lines, last):
        shown = line.rstrip("\r\n")
        sys.stdout.write(line if shown.isprintable() else escape_controls(shown) + line[len(shown) :])
    return last.startswith(("# complete", '{"complete":true,"rows"'))


async def _print(chunks: AsyncIterator[str]) -> bool:
    """Return whether the export is complete."""
    chunk = ""
    async for chunk in chunks:
        sys.stdout.write(chunk)
    return not ("# incomplete" in chunk or '"complete":false,"rows"' in chunk)
