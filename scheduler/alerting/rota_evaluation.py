"""Evaluate the calendars of rotas in a judging process, within its limits. Used by scheduler.alerting.rotas.

The process is not that of judgements, so that a costly calendar does not delay them. It ends when it is not used.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from jobs.incidents.routing.calendar_lines import CALENDAR_BYTES, CALENDAR_SECONDS, RotaError
from jobs.judging import Judge, JudgingUnavailable
from jobs.judging.process import JudgingProcess
from jobs.judging.service import JudgingService

if TYPE_CHECKING:
    from jobs.incidents.routing.rota_calendar import EvaluatedCalendar
    from jobs.incidents.routing.rota_definition import RotaDefinition


EVALUATION_TIMEOUT = 30.0
"""Seconds. The limits of the process end an evaluation earlier, unless others are before it."""


def open_calendar_judges() -> JudgingService:
    """Return the service that evaluates calendars; the caller closes it."""
    return JudgingService(JudgingProcess(CALENDAR_BYTES))


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


def _show(text: str, *, cut: bool = False) -> str:
    """Redact nothing: the task has no texts of jobs."""
    return text
