"""What routes read from a request's body: JSON objects that take nothing they do not know."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from jobs.problems import make_printable


class RequestModel(BaseModel):
    """Base of all of them. Strict: what the schema calls a number or a boolean is not taken as a text."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False, strict=True)


def parse_instant(value: object) -> datetime:
    """An instant in ISO 8601; without an offset it is UTC. Raises ValueError."""
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value.strip())
            return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    shown = make_printable(repr(value), 60)
    raise ValueError(f"{shown} is no instant in ISO 8601: write it like 2026-11-25T01:50:30Z")


Instant = Annotated[datetime, BeforeValidator(parse_instant)]
Reason = Annotated[str, StringConstraints(max_length=500), AfterValidator(str.strip)]
