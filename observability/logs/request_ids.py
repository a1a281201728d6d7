"""Adds the id of the API request to log records. Used by observability.logs.setup and formats."""

from __future__ import annotations

import logging

from jobs.request_id import current_request_id

_ATTRIBUTE = "api_request_id"


class RequestIdFilter(logging.Filter):
    """Marks records where they are logged: they are written in another thread."""

    def filter(self, record: logging.LogRecord) -> bool:
        if request_id := current_request_id():
            setattr(record, _ATTRIBUTE, request_id)
        return True


def request_id_of(record: logging.LogRecord) -> str:
    """Return the id of the request; empty without."""
    return str(getattr(record, _ATTRIBUTE, ""))
