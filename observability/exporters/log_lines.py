"""The lines of the log that exporters send, as the log has them. Pure; used by the exporters that send logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.runs import Attempt, Run
from jobs.runs.events import AttemptRetried
from observability.events import DeadLettered, JobFailed, JobPerformance, JobRetry, LogLine, TelemetryEvent
from observability.log_event import LogEvent
from observability.sampling import RunReport


@dataclass(frozen=True, slots=True)
class ExportedLine:
    """`job`: empty on lines about the program. `run`: None on lines that are written before a run is finished."""

    at: datetime
    event: LogEvent
    job: str = ""
    run_id: str = ""
    run: Run | None = None


def find_lines(events: Iterable[TelemetryEvent], at: float) -> Iterator[ExportedLine]:
    """Yield the lines of the selected runs, of retries and of the program. `at`: seconds since the epoch, now."""
    for event in events:
        if isinstance(event, RunReport):
            if not event.events:
                continue
            run = event.run
            yield ExportedLine(run.finished_at, JobPerformance(run, represents=event.events), run.job, run.id, run)
            if run.outcome.down:
                yield ExportedLine(run.finished_at, JobFailed(run), run.job, run.id, run)
        elif isinstance(event, AttemptRetried):
            ticket = event.ticket
            yield ExportedLine(_end_of_attempt(event.attempt), JobRetry(event), ticket.job, ticket.id)
        elif isinstance(event, DeadLettered):
            yield ExportedLine(datetime.fromtimestamp(at, UTC), event, event.ticket.job, event.ticket.id)
        elif isinstance(event, LogLine):
            yield ExportedLine(event.at, event)


def _end_of_attempt(attempt: Attempt) -> datetime:
    return attempt.started_at + timedelta(milliseconds=attempt.phases.total_ms)
