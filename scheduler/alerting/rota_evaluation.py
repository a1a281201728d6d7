"""The state of a rota, and how its table is made: a judging process evaluates the calendar, within its limits.

Used by scheduler.alerting.rotas. The process is not that of judgements, so that a costly calendar does not delay them.
It ends when it is not used.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobs.checks.files.reading import FileSignature
from jobs.definition.alerting_section import DefinedEntry
from jobs.incidents.rota_calendar import CALENDAR_BYTES, CALENDAR_SECONDS, RotaError
from jobs.incidents.routes import HANDOVER_IN_SIGHT, Rota
from jobs.judging import Judge, JudgingUnavailable
from jobs.judging.process import JudgingProcess
from jobs.judging.service import JudgingService

if TYPE_CHECKING:
    from jobs.incidents.rota_calendar import EvaluatedCalendar
    from jobs.incidents.routes import RotaDefinition

LOG = logging.getLogger(__name__)

HORIZON = HANDOVER_IN_SIGHT + timedelta(days=8)
RENEWAL = timedelta(days=1)
_MAX_NAMED = 5
"""Titles of shifts that a problem names."""
EVALUATION_TIMEOUT = 30.0
"""Seconds. The limits of the process end an evaluation earlier, unless others are before it."""
DELAYED_RETRY = 60.0
"""Seconds after which an evaluation that had not ended is repeated."""


def open_calendar_judges() -> JudgingService:
    """Return the service that evaluates calendars; the caller closes it."""
    return JudgingService(JudgingProcess(CALENDAR_BYTES))


@dataclass(frozen=True, slots=True)
class _Rejected:
    """A calendar and a definition that cannot be used: not evaluated again for a while, as it may cost much."""

    of: tuple[bytes, RotaDefinition]
    error: str
    until: datetime


@dataclass(slots=True)
class RotaSource:
    """The state of one rota. `made_of`: the calendar and the definition of `rota`. `renew_at`: when its table is made
    again. `due_at`, `began_at`: of the read, monotonic seconds.
    """

    entry: DefinedEntry
    due_at: float
    absent_until: float
    rota: Rota | None = None
    made_of: tuple[bytes, RotaDefinition] | None = None
    rejected: _Rejected | None = None
    renew_at: datetime | None = None
    began_at: float = 0.0
    signature: FileSignature = ()
    etag: str = ""
    error: str = ""
    failing_since: datetime | None = None
    unknown_titles: tuple[str, ...] = ()
    task: asyncio.Task[None] | None = None
    was_waited_for: bool = False

    @property
    def definition(self) -> RotaDefinition:
        definition: RotaDefinition = self.entry.value
        return definition

    @property
    def content(self) -> bytes | None:
        """The calendar in force."""
        return None if self.made_of is None else self.made_of[0]

    def take_first_wait(self) -> bool:
        """Return whether its first read is in progress, once."""
        is_first = not self.was_waited_for and self.is_reading
        self.was_waited_for = True
        return is_first

    @property
    def is_reading(self) -> bool:
        return self.task is not None and not self.task.done()


class EvaluationDelayed(RotaError):
    """The calendar was not evaluated, for a reason outside of it."""


async def evaluate(
    judges: Judge,
    name: str,
    definition: RotaDefinition,
    content: bytes,
    span: tuple[datetime, datetime],
    now: datetime,
) -> EvaluatedCalendar:
    """Return who is on call in a span of time by the calendar of this rota. Raises RotaError."""
    from jobs.judging.calendar_task import CalendarTask  # loads the models of rotas

    task = CalendarTask.of(definition, content, *span, now)
    try:
        judged = await judges.perform(
            f"rota {name}", task, _show, seconds=CALENDAR_SECONDS, queue_timeout=EVALUATION_TIMEOUT
        )
    except JudgingUnavailable:
        raise EvaluationDelayed(f"its evaluation has not ended within {EVALUATION_TIMEOUT:g} s") from None
    except Exception as error:  # of the program itself
        raise EvaluationDelayed(f"its evaluation failed: {type(error).__name__}") from None
    if isinstance(judged.result, str):
        raise RotaError(judged.result)
    return judged.result


async def replace_rota(
    judges: Judge, source: RotaSource, definition: RotaDefinition, content: bytes, now: datetime
) -> str:
    """Make the rota of this calendar, unless it is the one in force. Return why it cannot be used, or nothing."""
    given, name = (content, definition), source.entry.name
    if given == source.made_of and source.renew_at is not None and now < source.renew_at:
        return ""
    if source.rejected is not None and source.rejected.of == given and now < source.rejected.until:
        return source.rejected.error
    try:
        found = await evaluate(judges, name, definition, content, (now - RENEWAL, now + HORIZON), now)
    except RotaError as error:
        later = timedelta(seconds=DELAYED_RETRY) if isinstance(error, EvaluationDelayed) else RENEWAL
        source.rejected = _Rejected(given, str(error), now + later)
        return str(error)
    titles = found.unknown_titles[:_MAX_NAMED]
    if titles and titles != source.unknown_titles:
        LOG.warning("shifts of rota %s name no person: %s; otherwise is notified in them", name, ", ".join(titles))
    source.rota, source.unknown_titles = definition.make_rota(found.table), titles
    source.made_of = given
    # A table that is shorter, because of many shifts, is renewed before half of it has passed.
    source.renew_at = min(now + RENEWAL, now + max((found.table.until - now) / 2, timedelta()))
    return ""


def _show(text: str, *, cut: bool = False) -> str:
    """Redact nothing: the task has no texts of jobs."""
    return text
