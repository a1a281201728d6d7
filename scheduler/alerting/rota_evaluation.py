"""Evaluate the calendars of rotas in the judging process, within its limits. Used by scheduler.alerting.rotas."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from jobs.incidents.routing.calendar_lines import RotaError
from jobs.judging import Judge, JudgingUnavailable

if TYPE_CHECKING:
    from jobs.incidents.routing.rota_calendar import EvaluatedCalendar
    from jobs.incidents.routing.rota_definition import RotaDefinition


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
    from jobs.judging.calendar_task import CALENDAR_SECONDS, CalendarTask  # loads the models of rotas

    task = CalendarTask.of(definition, content, *span, now)
    try:
        judged = await judges.perform(f"rota {name}", task, _show, seconds=CALENDAR_SECONDS)
    except JudgingUnavailable:
        raise EvaluationDelayed("its evaluation has not ended in time, as judgements of jobs take too long") from None
    except Exception as error:  # of the program itself
        raise EvaluationDelayed(f"its evaluation failed: {type(error).__name__}") from None
    if isinstance(judged.result, str):
        raise RotaError(judged.result)
    return judged.result


def _show(text: str, *, cut: bool = False) -> str:
    """Redact nothing: the task has no texts of jobs."""
    return text
