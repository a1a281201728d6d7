"""The check of an HTTP target: one request, its redirects, and what came of it. Made by jobs.checks.

One httpx client a process, over a transport of our own; TLS contexts are shared, connections only if a target says so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx

from jobs.checks.binding.rules import ANYTHING, Bindings
from jobs.checks.bodies import Body
from jobs.checks.cookies import Cookies
from jobs.checks.credentials import NOTHING
from jobs.checks.errors import TunnelRefused
from jobs.checks.faults import explain
from jobs.checks.fetching import Sources, credentials_of
from jobs.checks.guard import LOCAL, Guard
from jobs.checks.http_exchange import _Client, _Visit
from jobs.checks.loading import load_http2, load_names, load_tls
from jobs.checks.oauth import OAuthTokens
from jobs.checks.port import Call
from jobs.checks.prepared import MARK, Prepared, PreparedRequests, origin_of
from jobs.checks.redirects import headers_of
from jobs.checks.requests import Outgoing, build, proxy_of
from jobs.checks.retry_after import retry_after_s
from jobs.checks.tls_contexts import TlsContexts
from jobs.ports import Clock, Secrets, Tokens
from jobs.redaction import Redactor
from jobs.redaction.holding import CurrentValues
from jobs.runs import Observation, Phases
from jobs.targets import HttpTarget
from jobs.trace_ids import HEADER, trace_parent

USER_AGENT = "scheduler"
MOST_DERIVED = 1000
"""Values made of secrets, and tokens of the identity, that are registered: those that were used last."""


class HttpCheck:
    """Observes HTTP targets, for one event loop."""

    def __init__(
        self,
        secrets: Secrets,
        tokens: Tokens,
        redactor: Redactor,
        *,
        user_agent: str = USER_AGENT,
        guard: Guard = LOCAL,
        client: httpx.AsyncClient | None = None,
        clock: Clock | None = None,
        traces: bool = False,
        bindings: Bindings = ANYTHING,
        contexts: TlsContexts | None = None,
    ) -> None:
        """`guard`: where targets may be. `bindings`: which of them get which secret. `client`, `clock`: other ones for
        tests; the client is closed with this. `traces`: whether requests carry the ids of the run's trace. `contexts`:
        shared with other checks."""
        self._redactor = redactor
        self._user_agent = user_agent
        self._contexts = contexts or TlsContexts()
        self._guard = guard
        self._traces = traces
        self._prepared = PreparedRequests()
        self._client = client or _Client(guard)
        self._derived = CurrentValues(redactor, MOST_DERIVED)
        self._oauth = OAuthTokens(self._client, guard, self._contexts, redactor, self._derived, user_agent, clock)
        in_use = CurrentValues(redactor, MOST_DERIVED)
        self._sources = Sources(secrets, tokens, self._oauth, redactor, in_use, self._derived, bindings)

    async def observe(self, target: HttpTarget, call: Call) -> Observation:
        """Ask the target once; its errors come back in the observation. Raises only what is a mistake of ours."""
        return await self.observe_with(target, call)

    async def observe_with(self, target: HttpTarget, call: Call, cookies: Cookies | None = None) -> Observation:
        """The same; sends the cookies that there are, and adds those that the answers set."""
        visit = _Visit(self._client, self._guard, self._contexts, target, call, cookies)
        call.clock.besides = visit.way.besides
        try:
            prepared = self._prepared.get(target) if cookies is None else None
            visit.trace_parent = self._trace_parent(target, call)
            first = prepared or await self._made(target, call, visit, keep=cookies is None)
            response, body = await visit.go(first, lambda: self._plain(target, call.run_id, visit.trace_parent))
        except Exception as error:
            explained = explain(error, call.clock.current, visit.peer)
            if explained is None:
                raise
            error_class, message = explained
            besides = "" if isinstance(error, TunnelRefused) else visit.way.besides()
            told = self._redactor.redact(f"{message} {besides}".rstrip())
            return Observation(call.clock.stop(), visit.status, error=error_class, message=told)
        return _seen(response, body, visit, call.clock.stop())

    async def _made(self, target: HttpTarget, call: Call, visit: _Visit, keep: bool) -> Outgoing | Prepared:
        """The request of this target; `keep`: for its later runs, unless something of it comes from outside."""
        credentials = await credentials_of(target, self._sources, call)
        visit.bindings = self._sources.bindings
        visit.proxy = proxy_of(target, credentials, self._derived)
        if (shown := target.tls.client_certificate) is not None:
            visit.client_certificate = credentials.text(shown)
        if keep and credentials is NOTHING and visit.proxy is None:
            return self._prepared.add(target, self._plain(target, MARK).request("", "", {}))
        agent, trace = self._user_agent, visit.trace_parent
        return build(target, credentials, call.run_id, agent, self._derived, trace, carried=call.carried_texts)

    def _plain(self, target: HttpTarget, run_id: str, trace_parent: str = "") -> Outgoing:
        """The request of a target that needs nothing from outside."""
        return build(target, NOTHING, run_id, self._user_agent, self._derived, trace_parent)

    def _trace_parent(self, target: HttpTarget, call: Call) -> str:
        """Return the header that ties the target's own telemetry to this attempt; empty if it is not to be sent."""
        if not self._traces or any(name.lower() == HEADER for name in target.headers):
            return ""
        return trace_parent(call.run_id, call.attempt)

    def prepare(self, target: HttpTarget) -> None:
        """See Check.prepare."""
        load_names()
        if target.http2:
            load_http2()
        if target.url.startswith("https:"):
            load_tls()
            if target.tls.client_certificate is None:
                self._contexts.prepare(target.tls, http2=target.http2)

    async def aclose(self) -> None:
        await self._oauth.aclose()
        await self._client.aclose()


def _seen(response: httpx.Response, body: Body, visit: _Visit, phases: Phases) -> Observation:
    extensions, status = response.extensions, response.status_code
    headers = headers_of(response)
    return Observation(
        phases,
        status,
        response.reason_phrase,
        headers,
        body.content,
        body.truncated,
        retry_after_s=retry_after_s(status, headers, datetime.now(UTC)) if "retry-after" in headers else None,
        facts=_facts(response, visit.redirects),
        certificates=extensions.get("certificates", ()),
    )


def _facts(response: httpx.Response, redirects: int) -> dict[str, Any]:
    extensions, request = response.extensions, response.request
    # What is prepared has no whole URL: to make one takes as long as to send the request.
    origin: str = request.extensions.get("origin") or origin_of(request.url)
    path: bytes = request.extensions.get("path") or request.url.raw_path
    facts: dict[str, Any] = {
        "http_version": response.http_version,
        "url": origin + path.partition(b"?")[0].decode("ascii"),
        "redirects": redirects,
    }
    for name in ("remote_address", "tls_version"):
        if name in extensions:
            facts[name] = extensions[name]
    return facts
