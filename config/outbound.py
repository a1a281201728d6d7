"""The way out of all requests, by the settings `outbound`, and what clients of libraries need for it.

Without the setting `proxy` each library behaves as it does by itself. With it, the setting alone decides: the proxy
variables of the environment are not read. Used by scheduler.app, config.identity, config.secrets and
observability.exporters.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from config.errors import ConfigurationError
from config.settings.model import Settings
from jobs.checks.errors import FileError
from jobs.checks.outbound import DIRECT, Outbound, ProxyEndpoint, parse_no_proxy
from jobs.formats import host_and_port
from jobs.problems import Problem, make_printable

if TYPE_CHECKING:
    import ssl

    import httpx

TOKEN_ENDPOINT_VARIABLES = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "IMDS_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST")
"""With the platform's endpoint for the app's tokens, which no proxy reaches."""


def build_outbound(settings: Settings, environ: Mapping[str, str] | None = None) -> Outbound:
    """Return the way out. `environ`: of the process by default. Raises ConfigurationError for the CA file."""
    options = settings.outbound
    if options.proxy is None and options.ca_file is None:
        return DIRECT
    host, port = host_and_port(options.proxy) if options.proxy else ("", 0)
    password = options.proxy_password.get_secret_value() if options.proxy_password else ""
    direct = (*options.no_proxy, *_list_token_endpoints(os.environ if environ is None else environ))
    authorities = _read_authorities(settings)
    return Outbound(host, port, options.proxy_user or "", password, parse_no_proxy(direct), authorities)


def _list_token_endpoints(environ: Mapping[str, str]) -> Iterator[str]:
    for name in TOKEN_ENDPOINT_VARIABLES:
        try:
            host, port = host_and_port(environ.get(name, ""))
            parse_no_proxy([entry := f"[{host}]:{port}" if ":" in host else f"{host}:{port}"])
        except ValueError:
            continue
        yield entry


def _read_authorities(settings: Settings) -> tuple[str, ...]:
    from jobs.checks.net.tls_contexts import read_authorities

    path = settings.outbound.ca_file
    if path is None:
        return ()
    try:
        return read_authorities(str(path))
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
    except (ValueError, FileError) as error:
        reason = str(error)
    hint = "write the path of a PEM file with the certificates of the authorities"
    raise ConfigurationError([Problem("outbound.ca_file", f"{path} cannot be used: {reason}", hint)])


def create_tls_context(outbound: Outbound) -> ssl.SSLContext:
    """Return a context that trusts the usual authorities, and those of the settings."""
    from jobs.checks.net.tls_contexts import create_trusting_context

    return create_trusting_context(outbound.authorities)


def proxy_url(proxy: ProxyEndpoint, outbound: Outbound) -> str:
    """Return the URL of the proxy with its credentials, for libraries; it must not be shown."""
    user = f"{quote(outbound.user, safe='')}:{quote(outbound.password, safe='')}@" if outbound.user else ""
    return f"http://{user}{proxy}"


def export_proxy(outbound: Outbound, environ: MutableMapping[str, str]) -> None:
    """Set the proxy variables for libraries and commands that take it from nowhere else: Apprise, and Azure's CLI."""
    if outbound.proxy is None:
        return
    url = proxy_url(outbound.proxy, outbound)
    entries = (re.sub(r"^\*\.", ".", str(pattern)) for pattern in outbound.direct)
    direct = ",".join(dict.fromkeys(("localhost", "127.0.0.0/8", "::1", "169.254.0.0/16", *entries)))
    for name, value in (("HTTP_PROXY", url), ("HTTPS_PROXY", url), ("NO_PROXY", direct)):
        environ[name] = environ[name.lower()] = value


_MAX_LISTED = 10


def describe_outbound(settings: Settings) -> str:
    """Return which proxy is in force and what does not go through it, a clause without credentials; "": no proxy."""
    options = settings.outbound
    if options.proxy is None:
        return ""
    direct = ["this machine", "link-local addresses", *options.no_proxy[:_MAX_LISTED]]
    if (more := len(options.no_proxy) - _MAX_LISTED) > 0:
        direct.append(f"{more} more of no_proxy")
    listed = make_printable(", ".join(direct), 1000)
    proxy = ProxyEndpoint(*host_and_port(options.proxy))
    return f"http requests leave by the proxy {proxy}, other checks and email do not; direct: {listed}"


def describe_proxy_failure(proxy: ProxyEndpoint, error: BaseException) -> str:
    """Return why a request did not get through the proxy; it names the proxy, and not the target."""
    texts = [str(each) for each in _chain(error)]
    status = next((found[1] for text in texts if (found := _STATUS.search(text))), "")
    if status:
        hint = ": check outbound.proxy_user and outbound.proxy_password" if status.startswith("407") else ""
        return f"the proxy {proxy} refused CONNECT: {make_printable(status, 100).strip()}{hint}"
    reasons = [_describe_os_error(each) for each in _chain(error) if isinstance(each, OSError) and each.strerror]
    if reasons:
        return f"the proxy {proxy} cannot be reached: {make_printable(reasons[-1], 200)}"
    return f"the request through the proxy {proxy} failed: {make_printable(texts[-1], 200)}"


def _describe_os_error(error: OSError) -> str:
    """Return the text of the number: asyncio writes the address into the other one."""
    return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error.strerror)


_STATUS = re.compile(r"\b([45]\d\d\b[^,\n()'\"]*)")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, then its causes, also those that libraries have as arguments."""
    for _ in range(20):
        if error is None:
            return
        yield error
        inner = [each for each in (getattr(error, "reason", None), *error.args) if isinstance(each, BaseException)]
        error = error.__cause__ or error.__context__ or next(iter(inner), None)


def open_http_client(outbound: Outbound, verify: ssl.SSLContext | bool = True, **options: Any) -> httpx.AsyncClient:
    """Open a client of httpx that leaves by the proxy. `verify`: in place of the usual authorities.

    Its requests raise httpx.ProxyError with the name of the proxy.
    """
    import httpx

    if outbound.authorities and verify is True:
        verify = create_tls_context(outbound)
    if outbound.proxy is None:
        return httpx.AsyncClient(verify=verify, **options)
    transport = _new_transport(outbound, outbound.proxy, verify)
    return httpx.AsyncClient(transport=transport, **{**options, "trust_env": False})


def _new_transport(outbound: Outbound, proxy: ProxyEndpoint, verify: ssl.SSLContext | bool) -> httpx.AsyncBaseTransport:
    import httpx

    class OutboundHttpxTransport(httpx.AsyncBaseTransport):
        """Sends each request by its own way."""

        def __init__(self) -> None:
            auth = (outbound.user, outbound.password) if outbound.user else None
            way = httpx.Proxy(f"http://{proxy}", auth=auth)
            self._direct = httpx.AsyncHTTPTransport(verify=verify, trust_env=False)
            self._proxied = httpx.AsyncHTTPTransport(verify=verify, trust_env=False, proxy=way)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if outbound.find_proxy_of_url(str(request.url)) is None:
                return await self._direct.handle_async_request(request)
            try:
                response = await self._proxied.handle_async_request(request)
            except (httpx.ProxyError, httpx.ConnectError, httpx.ConnectTimeout) as error:
                if is_tls_failure(error):
                    raise
                raise httpx.ProxyError(describe_proxy_failure(proxy, error), request=request) from None
            if response.status_code == 407:
                await response.aclose()
                text = describe_proxy_failure(proxy, OSError("407 Proxy Authentication Required"))
                raise httpx.ProxyError(text, request=request)
            return response

        async def aclose(self) -> None:
            await self._direct.aclose()
            await self._proxied.aclose()

    return OutboundHttpxTransport()


def is_tls_failure(error: BaseException) -> bool:
    """Return whether the failure is of the session with the target, behind the tunnel."""
    import ssl

    return any(isinstance(each, ssl.SSLError) for each in _chain(error))


def find_proxy_of(outbound: Outbound, url: str) -> ProxyEndpoint | None:
    """Return the proxy for a URL of a library, which may be invalid."""
    try:
        return outbound.find_proxy_of_url(url) if urlsplit(url).hostname else None
    except ValueError:
        return None
