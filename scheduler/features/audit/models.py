"""The audit trail as the API, the commands and the pages show it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from scheduler.model_base import ListModel, ResponseModel, example_values


class AuditEntryModel(ResponseModel):
    """An entry. `kind` failure: the change of entry `of` failed with `error`. `prev`: the hash of the entry before.

    `partial`: the entry concerns other jobs too, which are omitted with the state before and after, or `***` replaces
    literal credentials. Its hash then does not match. `kind` damaged: its content is not shown.
    """

    model_config = example_values(
        seq=1801,
        action="job.pause",
        object="checkout-api",
        summary="job checkout-api was paused until it is resumed",
        jobs=["checkout-api"],
        jobs_omitted=0,
        principal="api_key:deploy",
        role="operator",
        source="api",
        address="203.0.113.7",
        before=None,
        after={"until": None, "reason": "deployment"},
        outcome=None,
        error=None,
        of=None,
    )

    seq: int
    at: datetime | None = None
    kind: Literal["change", "failure", "refusal", "retention", "damaged"]
    action: str = ""
    object: str = ""
    summary: str
    jobs: list[str] = []
    jobs_omitted: int = 0
    principal: str = ""
    role: str = ""
    source: str = ""
    address: str = ""
    request_id: str = ""
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    outcome: Literal["failed"] | None = None
    error: str | None = None
    of: int | None = None
    prev: str = ""
    hash: str = ""
    partial: bool


class AuditList(ListModel[AuditEntryModel]):
    """Entries, newest first. `continuation` fetches older ones; null on the last page."""

    entries: list[AuditEntryModel]
    continuation: str | None


class AuditHeadModel(ResponseModel):
    """The last entry, an anchor for `audit verify`: `anchor` is its number and hash. `count`: of stored entries."""

    sequence: int
    hash: str
    anchor: str
    first: int
    count: int
