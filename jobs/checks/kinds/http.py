"""The check of an HTTP target: one request with its redirects.

One httpx client a process, over a transport of our own. TLS contexts are shared, connections only if a target enables
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from jobs.checks.binding.rules import UNRESTRICTED, Bindings
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.error_mapping import classify_error, shown_certificates_of
from jobs.checks.errors import TunnelRefused
from jobs.checks.guard import LOCAL_GUARD, Guard
from jobs.checks.http.credentials import CredentialSources, resolve_credentials
from jobs.checks.http.exchange import HttpExchange, StatelessClient
from jobs.checks.http.oauth import OAuthTokens
from jobs.checks.http.requests import (
    NO_CREDENTIALS,
    RUN_ID_PLACEHOLDER,
    CachedRequest,
    RequestCache,
    RequestDraft,
    build_request,
    resolve_proxy,
)
from jobs.checks.http.responses import CookieJar, ResponseBody
from jobs.checks.http_transport.messages import TargetResponse
from jobs.checks.net.tls_contexts import HTTP1, HTTP2, TlsContexts
from jobs.checks.outbound import DIRECT, NO_PROXY, Outbound
from jobs.checks.port import AttemptContext, Check, preload_http2, preload_idna, preload_tls
from jobs.ports import Clock, Secrets, Tokens
from jobs.redaction import Redactor
from jobs.redaction.value_holders import CurrentSecrets
from jobs.responses import parse_retry_after
from jobs.runs import Observation, Phases
from jobs.targets import HttpTarget
from jobs.trace_ids import TRACE_HEADER, format_trace_parent

USER_AGENT = "scheduler"
MAX_DERIVED_SECRETS = 1000
"""Values computed from secrets, and tokens of the identity, that stay registered: the most recently used."""


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> HttpCheck:
    """Build the check. Called by jobs.checks."""
    return HttpCheck(
        dependencies.secrets,
        dependencies.tokens,
        dependencies.redactor,
        guard=dependencies.guard,
        user_agent=dependencies.user_agent,
        traces=dependencies.traces,
        publishes_spans=dependencies.publishes_spans,
        bindings=dependencies.bindings,
        contexts=dependencies.contexts,
        outbound=dependencies.outbound,
    )


class HttpCheck:
    """Observes HTTP targets, for one event loop."""

    def __init__(
        self,
        secrets: Secrets,
        tokens: Tokens,
        redactor: Redactor,
        *,
        user_agent: str = USER_AGENT,
        guard: Guard = LOCAL_GUARD,
        client: httpx.AsyncClient | None = None,
        clock: Clock | None = None,
        traces: bool = False,
        publishes_spans: bool = True,
        bindings: Bindings = UNRESTRICTED,
        contexts: TlsContexts | None = None,
        outbound: Outbound = DIRECT,
    ) -> None:
        """`guard`: where targets may be. `bindings`: which of them get which secret. `client`, `clock`: replaced by
        tests; the client is closed with this. `traces`: whether requests carry the ids of the run's trace.
        `publishes_spans`: whether spans of jobs without an own policy may be published. `contexts`: shared with other
        checks. `outbound`: the proxy of targets that name none."""
        self._outbound = outbound
        self._redactor = redactor
        self._user_agent = user_agent
        self._contexts = contexts or TlsContexts()
        self._guard = guard
        self._traces = traces
        self._publishes_spans = publishes_spans
        self._request_cache = RequestCache()
        self._client = client or StatelessClient(guard)
        self._derived = CurrentSecrets(redactor, MAX_DERIVED_SECRETS)
        self._oauth = OAuthTokens(
            self._client, guard, self._contexts, redactor, self._derived, user_agent, clock, outbound
        )
        in_use = CurrentSecrets(redactor, MAX_DERIVED_SECRETS)
        self._sources = CredentialSources(secrets, tokens, self._oauth, redactor, in_use, self._derived, bindings)

    async def observe(self, target: HttpTarget, call: AttemptContext, cookies: CookieJar | None = None) -> Observation:
        """Observe the target once. `cookies`: to send, and to add those of the responses to."""
        exchange = HttpExchange(self._client, self._guard, self._contexts, target, call, cookies, self._outbound)
        call.clock.route_note = exchange.route.describe
        try:
            cached = self._request_cache.find(target) if cookies is None else None
            if cached is not None and target.proxy is not None:
                exchange.proxy = NO_PROXY  # a request with another proxy is not cached
            if self._traces:
                exchange.trace_parent = self._trace_parent(target, call, cached)
            first = cached or await self._build_request(target, call, exchange, keep=cookies is None)
            last, response, body = await exchange.run(first, self._build_plain_request)
        except Exception as error:
            explained = classify_error(error, call.clock.current, exchange.peer)
            if explained is None:
                raise
            error_class, message = explained
            route_note = "" if isinstance(error, TunnelRefused) else exchange.route.describe()
            message = self._redactor.redact(f"{message} {route_note}".rstrip())
            shown = shown_certificates_of(error)
            return Observation(
                call.clock.stop(), exchange.status, error=error_class, message=message, certificates=shown
            )
        facts = _facts(last.shown_url, response, exchange.redirects)
        return _observation(response, body, facts, call.clock.stop())

    async def _build_request(
        self, target: HttpTarget, call: AttemptContext, exchange: HttpExchange, keep: bool
    ) -> RequestDraft | CachedRequest:
        """Return the request of this target; `keep`: cache it, unless something of it comes from outside."""
        credentials = await resolve_credentials(target, self._sources, call, exchange.trace_parent)
        exchange.bindings = self._sources.bindings
        exchange.proxy = resolve_proxy(target, credentials, self._derived)
        if (shown := target.tls.client_certificate) is not None:
            exchange.client_certificate = credentials.resolve(shown)
        if keep and credentials is NO_CREDENTIALS and exchange.proxy in (None, NO_PROXY) and not target.http2:
            return self._request_cache.store(target, self._build_plain_request(target, RUN_ID_PLACEHOLDER).build())
        agent, trace = self._user_agent, exchange.trace_parent
        return build_request(
            target, credentials, call.run_id, agent, self._derived, trace, inherited_texts=call.inherited_texts
        )

    def _build_plain_request(self, target: HttpTarget, run_id: str, trace_parent: str = "") -> RequestDraft:
        """Return the request of a target that needs nothing from outside."""
        return build_request(target, NO_CREDENTIALS, run_id, self._user_agent, self._derived, trace_parent)

    def _trace_parent(self, target: HttpTarget, call: AttemptContext, cached: CachedRequest | None) -> str:
        """Return the header that ties the target's own telemetry to this attempt; empty if it is not sent."""
        policy = call.telemetry
        if policy is not None and not policy.trace_context:
            return ""
        if cached is not None:
            has_own = cached.shared.has_trace_parent
        else:
            has_own = any(name.lower() == TRACE_HEADER for name in target.headers)
        if has_own:
            return ""
        # It is unknown yet whether the span is published: with `failures` that depends on the answer.
        spans = None if policy is None else policy.spans
        is_sampled = self._publishes_spans if spans is None else spans != "none"
        return format_trace_parent(call.run_id, call.attempt, is_sampled=is_sampled)

    def prepare(self, target: HttpTarget) -> None:
        preload_idna()
        if target.http2:
            preload_http2()
        if target.url.startswith("https:"):
            preload_tls()
            if target.tls.client_certificate is None:
                self._contexts.prepare(target.tls, alpn=HTTP2 if target.http2 else HTTP1)

    async def aclose(self) -> None:
        await self._oauth.aclose()
        await self._client.aclose()


def _observation(response: TargetResponse, body: ResponseBody, facts: dict[str, Any], phases: Phases) -> Observation:
    status, headers = response.status, response.headers
    return Observation(
        phases,
        status,
        response.reason,
        headers,
        body.content,
        body.truncated,
        retry_after_s=parse_retry_after(status, headers, datetime.now(UTC)) if "retry-after" in headers else None,
        facts=facts,
        certificates=response.certificates,
    )


def _facts(url: str, response: TargetResponse, redirects: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"http_version": response.http_version, "url": url, "redirects": redirects}
    if response.remote_address is not None:
        facts["remote_address"] = response.remote_address
    if response.tls_version is not None:
        facts["tls_version"] = response.tls_version
    return facts
