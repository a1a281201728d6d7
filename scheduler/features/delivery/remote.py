"""A client of the API of a running scheduler.

Redirects are not followed: the key would be sent to another host.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import httpx

from jobs.inflaters import UndecodableBody
from jobs.responses import ReceivedResponse, Unsuccessful, fetch, fetch_lines

REQUEST_TIMEOUT: Final = 60.0
"""Seconds for a response: the plan of 10,000 jobs takes some."""
_MAX_RESPONSE_BYTES: Final = 256 * 1024 * 1024
"""Of an export of all jobs: 32,000 jobs have about 60 MiB."""
_EXPORT_TIMEOUT: Final = 600.0
_MAX_LINE_BYTES: Final = 8 * 1024 * 1024
"""Of a stream: an entry of the audit trail has at most 800,000 characters."""
MAX_TRIES: Final = 4
MAX_WAIT: Final = 10.0
"""Seconds between two tries, whatever Retry-After demands."""
_BUSY: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""Statuses of requests that have changed nothing."""
_REFUSED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_MAX_LISTED: Final = 20
_PAGE: Final = 500
MAX_PAGES: Final = 2000
"""Pages of one list: a million items. A server that answers with another page each time would be read without end."""


class RemoteError(Exception):
    """The scheduler cannot be reached, or refuses a request. `status`: of its response; 0 without one.

    `problem`: the problem details of the response; None if it has none, as that of another server.
    """

    def __init__(self, message: str, status: int = 0, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem

    @property
    def is_invalid_input(self) -> bool:
        """Return whether the request itself has to be changed."""
        return self.status in (
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )

    @property
    def is_refused_key(self) -> bool:
        """Return whether the key lacks the rights for the request."""
        return self.status in _REFUSED


class RemoteKey(NamedTuple):
    """A key of the scheduler, a token of Entra ID, or a key of the Functions host. `text` None: without a key.

    `variable`: the environment variable, the file or the option that it comes from, for messages. `is_token`: of Entra
    ID, which the Functions host is not sent as a key.
    """

    text: str | None
    variable: str
    is_token: bool = False


class RemoteKeys(NamedTuple):
    """The keys of requests: on Azure, the function that serves a request has its own key (scheduler.api.scopes)."""

    change: RemoteKey
    read: RemoteKey

    def key_for(self, method: str) -> RemoteKey:
        return self.read if method == "GET" else self.change


class RemoteApi:
    """Every method raises RemoteError."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        keys: RemoteKeys,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._keys = keys
        self._sleep = sleep

    @property
    def place(self) -> str:
        """The address for messages."""
        return str(self._client.base_url).rstrip("/")

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON of a response."""
        return self._read_json(path, await self._send("GET", path, params=params))

    async def post(self, path: str, body: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Send a body as JSON and return the JSON of the response."""
        return self._read_json(path, await self._send("POST", path, params=params, json=body))

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> ReceivedResponse:
        """Return a response. `body`: sent as JSON; None: no body."""
        options: dict[str, Any] = {"params": params, "sent_headers": headers, "timeout_s": timeout_s}
        return await self._send(method, path, **options, **({} if body is None else {"json": body}))

    async def read_now(self) -> datetime | None:
        """Return the time of the server, in whole seconds, by the header Date; None without one."""
        text = str((await self._send("GET", "/api/health/live")).headers.get("Date", ""))
        try:
            return parsedate_to_datetime(text).astimezone(UTC)
        except ValueError:
            return None

    async def get_lines(self, path: str, params: Mapping[str, Any] | None = None) -> Sequence[Mapping[str, Any]]:
        """Return the rows of an export. Its last line reports whether it is complete."""
        response = await self._send("GET", path, timeout_s=_EXPORT_TIMEOUT, params=params)
        lines = [] if response.received.is_truncated else response.body.splitlines()
        try:
            rows = [json.loads(line) for line in lines if line]
        except (ValueError, RecursionError):
            rows = []
        if not rows or not all(isinstance(row, dict) for row in rows) or rows[-1].get("complete") is not True:
            raise RemoteError(f"{self.place}: GET {path}: the export is incomplete")
        return rows[:-1]

    async def stream_lines(self, path: str, params: Mapping[str, Any] | None = None) -> AsyncIterator[str]:
        """Yield the lines of a response as they arrive. Nothing is repeated."""
        headers, limit = _credentials(self._keys.key_for("GET")), _MAX_LINE_BYTES
        lines = fetch_lines(self._client, path, limit=limit, timeout_s=REQUEST_TIMEOUT, headers=headers, params=params)
        try:
            async for line in lines:
                yield line
        except Unsuccessful as failure:
            raise self._describe_failure("GET", path, failure.response) from None
        except httpx.ConnectError as error:
            raise RemoteError(f"{self.place} does not answer: {_describe(error)}") from None
        except (httpx.TransportError, TimeoutError, UndecodableBody) as error:
            raise RemoteError(f"{self.place}: GET {path}: the response is incomplete: {_describe(error)}") from None

    async def iterate(
        self, path: str, member: str, params: Mapping[str, Any] | None = None
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the items of all pages of a list. `member`: its name in the response.

        Raises RemoteError: a page is not a list, or there are more than MAX_PAGES.
        """
        query = {"limit": _PAGE, **(params or {})}
        for _ in range(MAX_PAGES):
            page = await self.get(path, query)
            try:
                items, continuation = list(page[member]), page["continuation"]
            except (LookupError, TypeError):
                raise RemoteError(f"{self.place}{path}: the response has no {member}: check --url") from None
            for item in items:
                yield item
            if continuation is None:
                return
            query["continuation"] = continuation
        raise RemoteError(f"{self.place}{path}: more than {MAX_PAGES:,} pages: check --url")

    async def _send(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float | None = None,
        sent_headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> ReceivedResponse:
        options["headers"] = {**(sent_headers or {}), **_credentials(self._keys.key_for(method))}
        limit, seconds = _MAX_RESPONSE_BYTES, timeout_s or REQUEST_TIMEOUT
        for number in range(1, MAX_TRIES + 1):
            is_last = number == MAX_TRIES
            try:
                response = await fetch(self._client, method, path, limit=limit, timeout_s=seconds, **options)
            except (httpx.TransportError, TimeoutError) as error:
                # A POST may have arrived, and must not be repeated.
                if is_last or (method != "GET" and not isinstance(error, httpx.ConnectError)):
                    raise RemoteError(f"{self.place} does not answer: {_describe(error)}") from None
                await self._sleep(min(MAX_WAIT, 2.0**number / 2))
                continue
            if response.status in _BUSY and not is_last:
                await self._sleep(_read_retry_after(response))
                continue
            if not response.is_success:
                raise self._describe_failure(method, path, response)
            return response
        raise AssertionError("the last try returns or raises")

    def _read_json(self, path: str, response: ReceivedResponse) -> Any:
        try:
            return response.parse_json()
        except ValueError:
            raise RemoteError(f"{self.place}{path}: the response is not JSON: check --url", response.status) from None

    def _describe_failure(self, method: str, path: str, response: ReceivedResponse) -> RemoteError:
        try:
            problem = response.parse_json()
        except ValueError:
            problem = None
        details = problem if isinstance(problem, dict) else None
        return RemoteError(self._explain(method, path, response, problem), response.status, details)

    def _explain(self, method: str, path: str, response: ReceivedResponse, problem: Any) -> str:
        """Return the problem details of a response as lines."""
        where = f"{self.place}: {method} {path}: {response.status}"
        if 300 <= response.status < 400 and "location" in response.headers:
            return f"{where}: redirects are not followed: give the address that it leads to"
        detail = problem.get("detail") or problem.get("title") or "" if isinstance(problem, dict) else ""
        if response.status in _REFUSED:
            return f"{where}: {self._explain_refusal(method, path, detail)}"
        if problem is None:
            return f"{where}: the response is not that of a scheduler: check --url"
        if not isinstance(problem, dict):
            return where
        errors = problem.get("errors")
        parts = [each for each in errors if isinstance(each, dict)][:_MAX_LISTED] if isinstance(errors, list) else []
        lines = [f"{each.get('location', '')}: {each.get('message', '')}" for each in parts]
        return "\n".join([f"{where}: {detail}", *lines])

    def _explain_refusal(self, method: str, path: str, detail: str) -> str:
        """Return which key is missing or wrong. `detail`: of the scheduler; the platform refuses without one."""
        key = self._keys.key_for(method)
        cause = f"the key of {key.variable} was refused" if key.text else f"no key was sent: {key.variable} is not set"
        if key.is_token:
            cause = "the token of Entra ID was refused"
        if detail:
            return f"{cause}: {detail}"
        function = "read" if method == "GET" else "manage_sets" if path.startswith("/api/sets/") else "operate"
        return f"{cause}. Set it to a key for this request; on Azure Functions, to one of the function `{function}`"


@asynccontextmanager
async def open_remote(
    url: str, keys: RemoteKeys, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[RemoteApi]:
    """Open a client of the scheduler at this URL."""
    headers = {"Accept": "application/json"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=REQUEST_TIMEOUT, transport=transport) as client:
        yield RemoteApi(client, keys)


def _credentials(key: RemoteKey) -> dict[str, str]:
    """Return the key as the scheduler reads it, and as the Functions host does."""
    if key.text is None:
        return {}
    return {"Authorization": f"Bearer {key.text}"} | ({} if key.is_token else {"x-functions-key": key.text})


def _read_retry_after(response: ReceivedResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return min(MAX_WAIT, float(text)) if text.isascii() and text.isdigit() else 1.0


def _describe(error: Exception) -> str:
    return str(error) or type(error).__name__
