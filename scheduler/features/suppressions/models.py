"""Silences and maintenance windows as the API, the commands and the page show them, and requests of new ones."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from jobs.alerting.selectors import MAX_SELECTED_TEXTS
from jobs.incidents.suppression.windows import MAX_CHANGE_ID
from scheduler.model_base import (
    Instant,
    Length,
    ListModel,
    Reason,
    RequestModel,
    ResponseModel,
    example,
    example_values,
)

SUPPRESSION_ID = "1795856400000-5f2c1d9b"
StateName = Literal["pending", "active", "ended"]

_Text = Annotated[str, Field(max_length=200)]
_Texts = _Text | Annotated[list[_Text], Field(max_length=MAX_SELECTED_TEXTS)]
_Days = Annotated[list[dict[str, Any]], Field(max_length=50)]


class SelectorRequest(RequestModel):
    """All that are set must match, each with one of its values; or `all: true`. `jobs`: names of jobs and groups, with
    `*` for any text."""

    model_config = example({"tags": {"team": "payments"}})

    jobs: _Texts | None = None
    tags: Annotated[dict[str, _Texts], Field(max_length=MAX_SELECTED_TEXTS)] | None = None
    severities: _Texts | None = None
    kinds: _Texts | None = None
    all: bool | None = None


class SilenceRequest(RequestModel):
    """One of `ends_at` and `for` is required. `starts_at` null: now. An instant without an offset is UTC."""

    model_config = example(
        {"select": {"tags": {"team": "payments"}}, "for": "2h", "reason": "the provider repairs its gateway"}
    )

    select: SelectorRequest
    ends_at: Instant | None = None
    length: Length | None = Field(default=None, alias="for")
    starts_at: Instant | None = None
    reason: Reason = ""


class WindowRequest(RequestModel):
    """The keys of `alerting.windows` in job files. Without `from`, `schedule`, `weekly` and `calendar` it begins now,
    and `for` or `until` is required. `change_id`: of a change record. Without `name` it gets a unique one.
    """

    model_config = example(
        {
            "for": "30m",
            "select": {"tags": {"team": "payments"}},
            "reason": "release 42",
            "change_id": "CHG0042",
        }
    )

    name: _Text | None = None
    select: SelectorRequest
    length: Length | None = Field(default=None, alias="for")
    begin: Annotated[str, Field(max_length=50)] | None = Field(default=None, alias="from")
    until: Annotated[str, Field(max_length=50)] | None = None
    schedule: _Text | dict[str, Any] | None = None
    weekly: dict[str, Any] | None = None
    calendar: _Days | None = None
    exceptions: _Days | None = Field(default=None, alias="except")
    timezone: _Text | None = None
    effect: Literal["silence", "pause"] | None = None
    counts: bool | None = None
    reason: Reason | None = None
    change_id: Annotated[str, Field(max_length=MAX_CHANGE_ID)] | None = None


class SilenceModel(ResponseModel):
    """A silence. `title`: its reason, or what it selects. `limited_to`: it concerns only jobs with one of these tags,
    because its author is limited to them.
    """

    model_config = example_values(
        id=SUPPRESSION_ID,
        title="the provider repairs its gateway",
        state="active",
        select={"tags": {"team": ["payments"]}},
        ends_at="2026-11-28T11:00:00Z",
        author="entra:ada",
        reason="the provider repairs its gateway",
        limited_to=[],
        url=f"/api/silences/{SUPPRESSION_ID}",
    )

    id: str
    title: str
    state: StateName
    select: dict[str, Any]
    starts_at: datetime
    ends_at: datetime
    author: str
    created_at: datetime
    reason: str
    limited_to: list[str]
    url: str


class CreatedSilenceModel(SilenceModel):
    """A new silence. `jobs`: those that it selects now. None: it selects nothing."""

    jobs: list[str]


class SilenceListModel(ListModel[SilenceModel]):
    """Silences, oldest first. `continuation` fetches the next page; null on the last."""

    silences: list[SilenceModel]
    continuation: str | None


class WindowModel(ResponseModel):
    """A maintenance window. `id`, `author`, `created_at`: null for one that a job file defines; its place is `origin`.

    `begins_at`: when it begins next; null if it does not, or not in sight. `ends_at`: the end of the current period, or
    of the next one. `definition`: the keys of job files.
    """

    model_config = example_values(
        id=SUPPRESSION_ID,
        name="CHG0042-5f2c1d9b",
        state="active",
        effect="silence",
        begins_at=None,
        ends_at="2026-11-28T09:30:00Z",
        reason="release 42",
        change_id="CHG0042",
        author="api_key:deploy",
        origin="",
        definition={"name": "CHG0042-5f2c1d9b", "from": "2026-11-28T09:00:00Z", "for": "30m"},
        limited_to=[],
        url=f"/api/windows/{SUPPRESSION_ID}",
    )

    id: str | None
    name: str
    state: StateName
    effect: Literal["silence", "pause"]
    begins_at: datetime | None
    ends_at: datetime | None
    reason: str
    change_id: str
    author: str | None
    created_at: datetime | None
    origin: str
    definition: dict[str, Any]
    limited_to: list[str]
    url: str


class CreatedWindowModel(WindowModel):
    """A new window. `jobs`: those that it selects now. None: it selects nothing."""

    jobs: list[str]


class WindowListModel(ListModel[WindowModel]):
    """Maintenance windows: on the first page those of job files, then those of requests, oldest first. `continuation`
    fetches more of the latter; null on the last page."""

    windows: list[WindowModel]
    continuation: str | None
