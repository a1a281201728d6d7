"""What the remote parts of the rooms share: requests for models, and the errors of operations that responses stand for.

    class RemoteIncidents(RemoteRoom):
        async def find(self, incident: str) -> IncidentDetail:
            return await self.read(IncidentDetail, ("incidents", incident))

A remote part has the methods of a room's service or queries that commands call, with the same arguments and errors.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from jobs.problems import make_printable
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import Conflict, InvalidArgument, NotFound, OperationError, PreconditionFailed
from scheduler.features.delivery.remote import MAX_PAGES, RemoteApi, RemoteError

if TYPE_CHECKING:
    from jobs.responses import ReceivedResponse

ModelT = TypeVar("ModelT", bound=BaseModel)
Words = Sequence[str | int]
"""The parts of a path below /api, unquoted."""

_MAX_DETAIL: Final = 2000
_UNKNOWN_JOB: Final = re.compile(r"There is no job named (['\"])(.+)\1\.(?: Did you mean (\S+)\?)? GET /api/jobs ")
_ERRORS: Final[Mapping[int, type[OperationError]]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
}


class RemoteRoom:
    """Every method raises RemoteError, UnknownJob, and the errors of the operation."""

    def __init__(self, api: RemoteApi) -> None:
        self.api = api
        self._pages = 0

    async def read(self, model: type[ModelT], words: Words, **params: Any) -> ModelT:
        """Return what GET serves. `since` and `until` are sent as `from` and `to`, `after` as `continuation`."""
        if params.get("after"):
            self._count_page(words)
        return self.parse(model, await self.send("GET", words, **params))

    async def change(
        self, model: type[ModelT], words: Words, body: Any = None, *, method: str = "POST", **params: Any
    ) -> ModelT:
        """Send a change, and return what the response has. `body`: its members, without those that have no value."""
        sent = _write_body(body) if isinstance(body, Mapping) else body
        return self.parse(model, await self.send(method, words, body=sent, **params))

    async def send(
        self,
        method: str,
        words: Words,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        **params: Any,
    ) -> ReceivedResponse:
        """Return the response of a request. `params`: without those that have no value."""
        path, query = _write_path(words), _write_query(params)
        try:
            return await self.api.request(method, path, params=query, body=body, headers=headers, timeout_s=timeout_s)
        except RemoteError as error:
            raise_cause(error)

    async def stream_lines(self, words: Words, **params: Any) -> AsyncIterator[str]:
        """Yield the lines of a response as they arrive. `params`: as of `send`."""
        try:
            async for line in self.api.stream_lines(_write_path(words), _write_query(params)):
                yield line
        except RemoteError as error:
            raise_cause(error)

    def parse(self, model: type[ModelT], response: ReceivedResponse) -> ModelT:
        """Return the model of a response. Raises RemoteError."""
        try:
            return model.model_validate_json(response.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            reason = make_printable(f"{where}: {first['msg']}", 200)
            cause = "the response is not that of a scheduler of this version"
            raise RemoteError(f"{self.api.place}: {cause} ({reason}): check the address") from None

    def parse_json(self, response: ReceivedResponse) -> Any:
        """Return the JSON of a response that has no model. Raises RemoteError."""
        try:
            return response.parse_json()
        except ValueError:
            raise RemoteError(f"{self.api.place}: the response is not JSON: check the address") from None

    def _count_page(self, words: Words) -> None:
        self._pages += 1
        if self._pages > MAX_PAGES:
            raise RemoteError(f"{self.api.place}: {words[0]}: more than {MAX_PAGES:,} pages: check the address")


def _write_path(words: Words) -> str:
    return "/".join(["/api", *(quote(str(word), safe="@") for word in words)])


_NAMES: Final = {"since": "from", "until": "to", "after": "continuation"}


def _write_query(params: Mapping[str, Any]) -> dict[str, Any]:
    given = {_NAMES.get(name, name): _write(value) for name, value in params.items()}
    return {name: value for name, value in given.items() if value not in (None, "", [])}


def _write_body(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _write(value) for name, value in members.items() if value is not None}


def _write(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    return [_write(each) for each in value] if isinstance(value, list | tuple | frozenset | set) else value


def raise_cause(error: RemoteError) -> NoReturn:
    """Raise the error of the operation that a response stands for, with the text that it has at the scheduler."""
    problem = error.problem
    detail = problem.get("detail") if problem is not None else None
    if problem is None or not isinstance(detail, str) or not detail or detail.startswith("There is no route"):
        raise error
    if error.status == HTTPStatus.NOT_FOUND and (found := _UNKNOWN_JOB.match(detail)):
        raise UnknownJob(found[2], found[3]) from None
    if error.status == HTTPStatus.PRECONDITION_FAILED:
        raise PreconditionFailed(_to_clause(detail), None) from None
    if error.status in _ERRORS:
        raise _ERRORS[error.status](_to_clause(detail)) from None
    errors = problem.get("errors")
    first = errors[0] if isinstance(errors, list) and len(errors) == 1 and isinstance(errors[0], dict) else {}
    location, message = first.get("location"), first.get("message")
    if error.status == HTTPStatus.UNPROCESSABLE_ENTITY and isinstance(location, str) and isinstance(message, str):
        place, _, field = location.partition(".")
        if place in ("body", "query") and field.isidentifier():
            raise InvalidArgument(field, make_printable(message, _MAX_DETAIL)) from None
    raise error


def _to_clause(detail: str) -> str:
    """Return the message of an error whose sentence a problem has."""
    text = make_printable(detail, _MAX_DETAIL).removesuffix(".")
    return f"{text[0].lower()}{text[1:]}"
