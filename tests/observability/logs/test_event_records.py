"""Log events as records: what handlers read is there, as logging itself would have it."""

from __future__ import annotations

import logging
import time

from observability.events import ServiceEvent
from observability.logs.event_records import make_record

EVENT = ServiceEvent("SERVICE_STARTED", "scheduler started", {}, logging.WARNING)


def test_a_record_has_everything_that_one_of_logging_has() -> None:
    own = logging.getLogger("any").makeRecord("any", logging.WARNING, "", 0, EVENT, (), None)

    record = make_record(EVENT, "any")

    assert vars(record).keys() == vars(own).keys()
    same = ("name", "msg", "levelno", "levelname", "exc_info", "stack_info", "process")
    assert [getattr(record, name) for name in same] == [getattr(own, name) for name in same]
    assert record.getMessage() == "scheduler started"


def test_a_record_has_the_time_at_which_it_was_made() -> None:
    before = time.time()
    record = make_record(EVENT, "any")

    assert before <= record.created <= time.time()
    assert abs(record.created % 1 * 1000 - record.msecs) < 1
    assert record.relativeCreated > 0


def test_records_do_not_share_what_they_are_made_of() -> None:
    first, second = make_record(EVENT, "any"), make_record(EVENT, "other")
    first.exc_text = "changed"

    assert (second.name, second.exc_text) == ("other", None)
