"""Requests to Azure's APIs: in turn by the budget, with all pages, and by the transport and identity of HTTP checks.

A page costs one request, however many rows it has. Fewer rows than there are would be judged wrongly: what exceeds a
limit, or breaks between two pages, leaves the state unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from pydantic import ByteSize

from jobs.checks.azure.budget import AzureBudget, BudgetExhausted, Limits, find_limits
from jobs.checks.azure.verdicts import MAX_PAGE_BYTES, Concluded, Verdicts, unknown
from jobs.checks.body_memory import UNCOUNTED_BYTES
from jobs.checks.errors import BodyMemoryExhausted
from jobs.checks.port import AttemptContext
from jobs.ports import Clock
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation
from jobs.targets import AzureTarget, HttpTarget, JsonBody

MAX_ROWS = 10_000
"""Of all pages together."""
MAX_BYTES = 8 * 1024 * 1024
"""Of all pages together."""
MAX_LINK = 8192
"""Characters of the link to a next page, or of its token."""
_NEXT_LINKS = ("nextLink", "@odata.nextLink")
_REFUSED = (401, 403)


class HttpObserver(Protocol):
    """Sends one request: the HTTP check."""

    async def observe(self, target: HttpTarget, call: AttemptContext) -> Observation: ...

    def prepare(self, target: HttpTarget) -> None: ...


@dataclass(frozen=True, slots=True)
class AzureRequest:
    """One request. `body`: JSON, sent by POST; None: a GET."""

    url: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


@dataclass(frozen=True, slots=True)
class Page:
    """A response and its JSON object."""

    seen: Observation
    document: dict[str, Any]
    following: AzureRequest | None = None
    """That of the next page."""


@lru_cache(64)
def _template(host: str, method: str, scope: str) -> HttpTarget:
    return HttpTarget.model_validate(
        {
            "url": f"https://{host}/",
            "method": method,
            "auth": {"kind": "managed_identity", "scope": scope},
            "redirects": 0,
            "connection": "kept" if method == "GET" else "fresh",
            "read_limit": ByteSize(MAX_PAGE_BYTES),
            "headers": {"Accept": "application/json"},
        }
    )


class AzureClient:
    """Sends the requests of Azure checks, for one event loop."""

    def __init__(self, http: HttpObserver, budget: AzureBudget, redactor: Redactor, clock: Clock | None = None) -> None:
        """`clock`: replaced by tests, with that of the budget."""
        self._http = http
        self._budget = budget
        self.redactor = redactor
        self._clock = clock

    def now(self) -> datetime:
        """Return the current instant."""
        return datetime.now(UTC) if self._clock is None else self._clock.now()

    def _judge(self, target: AzureTarget) -> Verdicts:
        return Verdicts(target, self.now, self.redactor.redact)

    def prepare(self, target: AzureTarget) -> None:
        """Load what a request needs."""
        self._http.prepare(_template(target.host, "GET", target.auth.scope))

    async def send(self, target: AzureTarget, request: AzureRequest, call: AttemptContext, page: int = 1) -> Page:
        """Send a request in its turn; return the JSON object. Raises Concluded."""
        seen = await self.exchange(target, request, call, page)
        document = self._judge(target).read_page(seen, page)
        return Page(seen, document, _next_request(request, seen, document))

    async def exchange(
        self, target: AzureTarget, request: AzureRequest, call: AttemptContext, page: int = 1
    ) -> Observation:
        """Send a request in its turn; return the response, a success. Raises Concluded."""
        # Links to next pages add no limits: they come from outside.
        limits, sent = find_limits(request.method, target.endpoint), _to_http(target, request)
        await self._wait_for_turn(target, limits, call)
        seen = await self._http.observe(sent, call)
        if seen.status in _REFUSED and await _refresh_token(call):
            await self._wait_for_turn(target, limits, call)
            seen = await self._http.observe(sent, call)
        throttled_s = self._budget.record(limits, seen.status, seen.headers, seen.retry_after_s)
        self._judge(target).check_success(seen, page, throttled_s)
        return seen

    async def iter_pages(
        self, target: AzureTarget, request: AzureRequest, call: AttemptContext, max_pages: int
    ) -> AsyncIterator[Page]:
        """Yield all pages, following the links in them. Raises Concluded, also for too many or too large pages."""
        size, sent = 0, request
        all_sent = [request]
        for number in range(1, max_pages + 1):
            page = await self.send(target, sent, call, number)
            size += len(page.seen.body)
            if size > MAX_BYTES:
                raise unknown(page.seen, f"All pages have more than {MAX_BYTES // 1024**2} MiB: request less.")
            if size > UNCOUNTED_BYTES:
                await self._reserve(page.seen, size, call)
            yield page
            if page.following is None:
                return
            sent = page.following
            if sent in all_sent:
                raise unknown(page.seen, f"Page {number}: the link to the next page leads to an earlier page again.")
            all_sent.append(sent)
        raise unknown(page.seen, f"There are more than {max_pages} pages: raise max_pages, or filter the list.")

    async def _reserve(self, seen: Observation, size: int, call: AttemptContext) -> None:
        """Hold the memory of all pages so far. Raises Concluded if it is used up."""
        try:
            await call.body_reservation.reserve(size)
        except BodyMemoryExhausted as error:
            raise unknown(seen, str(error)) from None

    async def _wait_for_turn(self, target: AzureTarget, limits: Limits, call: AttemptContext) -> None:
        """Wait until a request of these limits may be sent. Raises Concluded."""
        call.credential_refreshes.clear()  # of the previous request
        try:
            wait = self._budget.reserve(limits)
            if not wait:
                return
            text = self._judge(target).describe_budget(next(iter(limits)), wait, is_blocked=False)
            call.clock.verdict = ErrorClass.RESPONSE_TIMEOUT, text  # if the attempt's deadline passes first
            await (asyncio.sleep(wait) if self._clock is None else self._clock.sleep(wait))
            call.clock.verdict = None
            self._budget.check_blocked(limits)
        except BudgetExhausted as error:
            text = self._judge(target).describe_budget(error.key, error.seconds, is_blocked=error.is_blocked)
            raise unknown(Observation(call.clock.snapshot()), text) from None


class AzureCheck:
    """What the checks of the Azure kinds share, for one event loop."""

    def __init__(self, client: AzureClient) -> None:
        self.client = client

    async def observe(self, target: Any, call: AttemptContext) -> Observation:
        """Observe the target once."""
        try:
            return await self.read(target, call)
        except Concluded as concluded:
            seen, redact = concluded.observation, self.client.redactor.redact
            return replace(seen, unknown=redact(seen.unknown), message=redact(seen.message))

    async def read(self, target: Any, call: AttemptContext) -> Observation:
        """Return the rows of a target. Raises Concluded."""
        raise NotImplementedError

    def prepare(self, target: AzureTarget) -> None:
        self.client.prepare(target)

    async def aclose(self) -> None:
        """Holds nothing."""


def _to_http(target: AzureTarget, request: AzureRequest) -> HttpTarget:
    template = _template(target.host, request.method, target.auth.scope)
    changes: dict[str, Any] = {"url": request.url}
    if request.body is not None:
        changes["body"] = JsonBody(json=request.body)
    if request.headers:
        changes["headers"] = {**template.headers, **request.headers}
    return template.model_copy(update=changes)


async def _refresh_token(call: AttemptContext) -> bool:
    """Return whether there is a newer token: one that is minutes old may lack a permission that was just granted."""
    return any([(await refresh()).is_changed for refresh in call.credential_refreshes])


def build_url(target: AzureTarget, query: Mapping[str, str]) -> str:
    """Return the URL of a target with these parameters."""
    url = f"https://{target.host}{target.path}"
    return f"{url}?{urlencode(query, quote_via=quote)}" if query else url


def _next_request(sent: AzureRequest, seen: Observation, document: Mapping[str, Any]) -> AzureRequest | None:
    """Return the request of the next page; None after the last one. Raises Concluded."""
    if sent.body is not None:
        return _next_post(sent, seen, document)
    link = next((document[name] for name in _NEXT_LINKS if document.get(name)), None)
    if link is None:
        return None
    if not isinstance(link, str) or len(link) > MAX_LINK or not _has_origin_of(link, sent.url):
        raise unknown(seen, "The link to the next page does not lead to the same host: nothing was sent there.")
    return replace(sent, url=link)


def _next_post(sent: AzureRequest, seen: Observation, document: Mapping[str, Any]) -> AzureRequest | None:
    """Return the request with the token of the next page, where each API expects it. Raises Concluded."""
    name = next((name for name in ("$skipToken", "continuationToken") if document.get(name)), None)
    if name is None:
        return None
    token = document[name]
    if not isinstance(token, str) or len(token) > MAX_LINK or not token.isprintable():
        raise unknown(seen, f"The token of the next page is not a printable text of up to {MAX_LINK:,} characters.")
    if name == "continuationToken":
        return replace(sent, body={**sent.body, name: token})
    options = sent.body.get("options")
    known = options if isinstance(options, dict) else {}
    return replace(sent, body={**sent.body, "options": {**known, name: token}})


def _has_origin_of(link: str, url: str) -> bool:
    try:
        one, two = urlsplit(link), urlsplit(url)
        host, port = one.hostname, one.port
    except ValueError:
        return False
    if one.scheme != "https" or one.username is not None or not link.isprintable() or " " in link:
        return False
    return host == two.hostname and port in (None, 443)
