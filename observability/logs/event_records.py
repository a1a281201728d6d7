"""A log event as a log record, without attributes of logging that are not read. Used by telemetry.

Each run has two records. Finding the line of code that logs, splitting its path and reading thread and process costs
more than the rest of publishing a run, and the line is always the same.
"""

from __future__ import annotations

import logging
import time

from observability.events import LogEvent

_SHARED_ATTRIBUTES = vars(logging.LogRecord("", logging.INFO, __file__, 0, "", None, None, "telemetry"))
_STARTED = _SHARED_ATTRIBUTES["created"] - _SHARED_ATTRIBUTES["relativeCreated"] / 1000


def make_record(event: LogEvent, logger: str) -> logging.LogRecord:
    """What `logging.getLogger(logger).log(event.level, event)` would make, except for the caller."""
    now = time.time()
    record = logging.LogRecord.__new__(logging.LogRecord)
    vars(record).update(
        _SHARED_ATTRIBUTES,
        name=logger,
        msg=event,
        levelno=event.level,
        levelname=logging.getLevelName(event.level),
        created=now,
        msecs=now % 1 * 1000,
        relativeCreated=(now - _STARTED) * 1000,
    )
    return record
