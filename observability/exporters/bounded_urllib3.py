"""Limits the bytes and the time of responses to libraries on urllib3: Datadog's client, and requests in Azure's SDKs.

These libraries decompress all that an endpoint sends, and their timeouts start again with each byte. Used by
observability.exporters.datadog, observability.exporters.application_insights_sdk and
observability.generation.datadog.target.
"""

from __future__ import annotations

import functools
import http.client
import io
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from config.outbound import create_tls_context, describe_proxy_failure, find_proxy_of, proxy_url
from jobs.checks.outbound import DIRECT, Outbound, ProxyEndpoint
from jobs.responses import IDENTITY_HEADERS, ReceivedBody, read_blocking

if TYPE_CHECKING:
    import requests

_PART_BYTES: Final = 16 * 1024
_MAX_SECONDS: Final = 60.0
"""Of a response on a connection without a timeout."""


@dataclass(frozen=True, slots=True)
class DatadogResponse:
    """What Datadog's client reads of a response. `error`: why the body is not complete; empty if it is."""

    status: int
    reason: str
    headers: Mapping[str, str]
    data: bytes
    error: str


def limit_responses(client: Any, limit: int, outbound: Outbound = DIRECT) -> None:
    """Let a client of Datadog (ApiClient, without types) read at most `limit` bytes of a body, within its timeout.

    `outbound`: by which way its requests leave.
    """
    pool = client.rest_client.pool_manager
    if outbound.authorities:
        pool.connection_pool_kw["ssl_context"] = create_tls_context(outbound)
    _limit_time(pool)
    client.rest_client.pool_manager = _BoundedPool(pool, limit, outbound)


def _read_whole(response: requests.Response, limit: int) -> None:
    """Read the body into memory. Raises requests.RequestException."""
    from requests import ConnectionError, exceptions
    from urllib3.exceptions import HTTPError

    try:
        body = _read_body(response.raw, limit)
    except (HTTPError, OSError) as error:
        raise ConnectionError(error, request=response.request) from None
    if reason := _find_error(body):
        raise exceptions.ContentDecodingError(f"the response cannot be read: {reason}")
    response.raw = io.BytesIO(body.content)


def _proxies(proxy: ProxyEndpoint | None, outbound: Outbound) -> dict[str, str]:
    return {} if proxy is None else dict.fromkeys(("http", "https"), proxy_url(proxy, outbound))


def open_bounded_session(limit: int, outbound: Outbound = DIRECT) -> requests.Session:
    """Open a session whose responses have at most `limit` bytes, decompressed, and end within the read timeout.

    Its requests raise requests.RequestException for other responses. `outbound`: by which way they leave; without a
    proxy there, by that of the environment.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import Retry

    trusted: dict[str, Any] = {"ssl_context": create_tls_context(outbound)} if outbound.authorities else {}

    class BoundedAdapter(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, **{**options, **trusted})
            _limit_time(self.poolmanager)

        def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
            manager = super().proxy_manager_for(*arguments, **{**options, **trusted})
            _limit_time(manager)
            return manager

        def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
            proxy = find_proxy_of(outbound, request.url or "")
            if outbound.proxy is not None:
                options["proxies"] = _proxies(proxy, outbound)
            try:
                response = super().send(request, *arguments, **{**options, "stream": True})
            except requests.exceptions.ProxyError as error:
                raise requests.ConnectionError(_describe(proxy, error), request=request) from None
            if proxy is not None and response.status_code == 407:
                raise requests.ConnectionError(_describe(proxy, OSError(_REFUSED)), request=request)
            _read_whole(response, limit)
            return response

    session = requests.Session()
    session.headers.update(IDENTITY_HEADERS)
    for scheme in ("http://", "https://"):
        session.mount(scheme, BoundedAdapter(max_retries=Retry(total=False, redirect=False, raise_on_status=False)))
    return session


class _BoundedPool:
    """The part of urllib3's pool manager that Datadog's client uses."""

    def __init__(self, pool: Any, limit: int, outbound: Outbound) -> None:
        self._pool = pool
        self._limit = limit
        self._outbound = outbound
        self._proxied = None if outbound.proxy is None else _open_proxied(outbound.proxy, pool)

    def clear(self) -> None:
        self._pool.clear()
        if self._proxied is not None:
            self._proxied.clear()

    def request(self, method: str, url: str, *, headers: Mapping[str, str], **options: Any) -> DatadogResponse:
        """Return the response. Raises urllib3's HTTPError and OSError."""
        from urllib3.exceptions import HTTPError, ProxyError

        sent = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
        options |= {"preload_content": False, "decode_content": False}
        proxy = find_proxy_of(self._outbound, url)
        pool: Any = self._pool if proxy is None else self._proxied
        try:
            response = pool.request(method, url, headers=sent | IDENTITY_HEADERS, **options)
        except ProxyError as error:
            raise HTTPError(_describe(proxy, error)) from None
        if proxy is not None and response.status == 407:
            response.close()
            raise HTTPError(_describe(proxy, OSError(_REFUSED)))
        body = _read_body(response, self._limit)
        # The client decodes the body of an error without a check.
        data = body.content.decode("utf-8", "replace").encode()
        return DatadogResponse(response.status, response.reason or "", response.headers, data, _find_error(body))


def _open_proxied(proxy: ProxyEndpoint, pool: Any) -> Any:
    """Open a pool manager like this one, whose requests leave by the proxy."""
    from urllib3 import ProxyManager

    headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else None
    manager = ProxyManager(f"http://{proxy}", proxy_headers=headers, **pool.connection_pool_kw)
    _limit_time(manager)
    return manager


_REFUSED: Final = "407 Proxy Authentication Required"


def _describe(proxy: ProxyEndpoint | None, error: BaseException) -> str:
    return str(error) if proxy is None else describe_proxy_failure(proxy, error)


def _read_body(response: Any, limit: int) -> ReceivedBody:
    """Read the body of urllib3's response, and release the connection. Raises urllib3's HTTPError and OSError."""
    parts = response.stream(_PART_BYTES, decode_content=False)
    try:
        body = read_blocking(parts, response.headers.get("content-encoding", ""), limit)
    except BaseException:
        response.close()
        raise
    if _find_error(body):
        response.close()  # the connection has the rest of the body
    response.release_conn()
    return body


def _find_error(body: ReceivedBody) -> str:
    return body.error or ("its body is too large" if body.is_truncated else "")


def _limit_time(manager: Any) -> None:
    """Let a pool manager of urllib3 read a whole response, its head included, within the timeout of a single read."""
    manager.pool_classes_by_scheme = _timed_pools()


@functools.cache
def _timed_pools() -> Mapping[str, type]:
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

    def make_timed(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
        connection = type("TimedConnection", (pool.ConnectionCls,), {"response_class": _TimedResponse})
        return type("TimedPool", (pool,), {"ConnectionCls": connection})

    return {"http": make_timed(HTTPConnectionPool), "https": make_timed(HTTPSConnectionPool)}


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, connected: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(connected, *arguments, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReads(connected))


class _TimedReads(io.RawIOBase):
    """The bytes that a socket receives until its timeout, counted from now."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._raw = connected.makefile("rb", buffering=0)
        self._ends_at = time.monotonic() + (connected.gettimeout() or _MAX_SECONDS)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the response is not complete within the timeout")
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
