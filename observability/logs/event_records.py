"""A log event as a log record, without what logging finds out for each record and nobody reads. Used by telemetry.

Each run has two of them. Looking for the line of code that logs, taking its path apart and asking for thread and
process costs more than everything else that telling of a run does, and it is always the same line.
"""

from __future__ import annotations

import logging
import time

from observability.events import LogEvent

_SHARED_ATTRIBUTES = vars(logging.LogRecord("", logging.INFO, __file__, 0, "", None, None, "telemetry"))
_STARTED = _SHARED_ATTRIBUTES["created"] - _SHARED_ATTRIBUTES["relativeCreated"] / 1000


def make_record(event: LogEvent, logger: str) -> logging.LogRecord:
    """What `logging.getLogger(logger).log(event.level, event)` would make, but for where it was called."""
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
