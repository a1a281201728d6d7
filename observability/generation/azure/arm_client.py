"""Requests to Azure Resource Manager: authentication, throttling, operations that take long.

The command runs as the person or the pipeline that starts it: environment variables of a service principal, a managed
identity, or the user who is signed in with the Azure CLI.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from jobs.problems import make_printable
from jobs.responses import BlockingClient, ReceivedResponse, parse_wait
from observability.generation.document import ToolError

_TIMEOUT_S = 60.0
_MAX_RESPONSE_BYTES = 16 * 1024 * 1024
MAX_REQUESTS = 6
"""Of one request, if it is throttled or the service is unavailable."""
MAX_RETRY_AFTER_S = 120.0
MAX_POLLS = 120
_DEFAULT_DELAY_S = 5.0
_MAX_MESSAGE_LENGTH = 500

_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_REMEDIES: Mapping[int, str] = {
    401: "sign in with `az login`, or check the credential of the pipeline",
    403: "assign the role Monitoring Contributor in the resource group, and Workbook Contributor for the workbook",
    404: "check the subscription and the resource group",
    409: "another deployment changes it; apply again",
    412: "it was changed meanwhile; apply again",
}

JsonObject = dict[str, Any]


class ArmClient:
    """Blocking. `fetch_token` returns a new access token; `sleep` waits for so many seconds.

    `remedies`: what to do about a status, in place of what helps who changes resources.
    """

    def __init__(
        self,
        client: BlockingClient,
        fetch_token: Callable[[], str],
        sleep: Callable[[float], None] = time.sleep,
        remedies: Mapping[int, str] | None = None,
    ) -> None:
        self._remedies = {**_REMEDIES, **(remedies or {})}
        self._client = client
        self._fetch_token = fetch_token
        self._sleep = sleep
        self._token: str | None = None

    def get(self, path: str, parameters: Mapping[str, str]) -> JsonObject | None:
        """Return a resource; None if it does not exist. Raises ToolError."""
        response = self._send("GET", path, parameters)
        return None if response.status == 404 else _read_object(path, response)

    def post(self, path: str, parameters: Mapping[str, str], body: JsonObject) -> JsonObject:
        """Return the result of a query. Raises ToolError."""
        response = self._send("POST", path, parameters, body)
        if response.status == 404:
            raise ToolError(self._describe("POST", path, response))
        return _read_object(path, response)

    def put(self, path: str, parameters: Mapping[str, str], body: JsonObject, etag: str | None) -> None:
        """Create or replace a resource, and wait until that is done. Raises ToolError.

        `etag`: of the resource that is replaced; it must not have been changed since.
        """
        headers = {"If-Match": etag} if etag else {}
        response = self._send("PUT", path, parameters, body, headers)
        if response.status == 404:
            raise ToolError(self._describe("PUT", path, response))
        self._wait_until_done(response)

    def delete(self, path: str, parameters: Mapping[str, str]) -> None:
        """Delete a resource, and wait until that is done; one that does not exist is a success. Raises ToolError."""
        response = self._send("DELETE", path, parameters)
        if response.status != 404:
            self._wait_until_done(response)

    def _wait_until_done(self, response: ReceivedResponse) -> None:
        """Poll an operation that the service has accepted: its status, or its result that appears later."""
        status_url = response.headers.get("azure-asyncoperation")
        url = status_url or (response.headers.get("location") if response.status == 202 else None)
        if not url or response.status not in (201, 202):
            return
        for _ in range(MAX_POLLS):
            self._sleep(_read_retry_after(response, _DEFAULT_DELAY_S))
            response = self._send("GET", self._check_origin(url), {})
            if response.status == 404:
                raise ToolError(self._describe("GET", url, response))
            if not status_url:
                if response.status != 202:
                    return
                continue
            state = str(_read_object(url, response).get("status", "")).lower()
            if state == "succeeded":
                return
            if state in ("failed", "canceled"):
                raise ToolError(f"Azure {state} the operation: {_find_reason(response)}")
        raise ToolError("Azure did not finish the operation in time; apply again")

    def _check_origin(self, url: str) -> str:
        """Return the address if it is that of the service: the access token must not go elsewhere."""
        expected, found = self._client.client.base_url, urlsplit(url)
        if (found.scheme, found.hostname, found.port) != (expected.scheme, expected.host, expected.port):
            raise ToolError(f"Azure referred to another address, {found.hostname}; the token is not sent there")
        return url

    def _send(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        body: JsonObject | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ReceivedResponse:
        """Return an answer that is a success or 404. Raises ToolError."""
        response = self._try_to_send(method, path, parameters, body, headers or {})
        is_refreshed = False
        for number in range(1, MAX_REQUESTS):
            if response.status == 401 and not is_refreshed:
                self._token, is_refreshed = None, True
            elif response.status in _RETRIED:
                self._sleep(_read_retry_after(response, float(2**number)))
            else:
                break
            response = self._try_to_send(method, path, parameters, body, headers or {})
        if response.is_success or response.status == 404:
            return response
        raise ToolError(self._describe(method, path, response))

    def _try_to_send(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        body: JsonObject | None,
        headers: Mapping[str, str],
    ) -> ReceivedResponse:
        import httpx

        if self._token is None:
            self._token = self._fetch_token()
        sent = {"Authorization": f"Bearer {self._token}", **headers}
        try:
            return self._client.fetch(
                method,
                path,
                limit=_MAX_RESPONSE_BYTES,
                timeout_s=_TIMEOUT_S,
                headers=sent,
                params=parameters or None,
                json=body,
            )
        except (httpx.HTTPError, TimeoutError) as error:
            raise ToolError(f"Azure did not answer: {type(error).__name__}: {error}") from None

    def _describe(self, method: str, url: str, response: ReceivedResponse) -> str:
        request = f"{method} {urlsplit(url).path}"
        remedy = self._remedies.get(response.status, "")
        text = f"Azure answered {response.status} to {request}: {_find_reason(response)}"
        return f"{text}; {remedy}" if remedy else text


def _read_object(url: str, response: ReceivedResponse) -> JsonObject:
    try:
        value = response.parse_json()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ToolError(f"Azure did not answer with a JSON object: {urlsplit(url).path}")
    return value


def _read_retry_after(response: ReceivedResponse, default: float) -> float:
    seconds = parse_wait(response.headers, datetime.now(UTC))
    return default if seconds is None else min(seconds, MAX_RETRY_AFTER_S)


def _find_reason(response: ReceivedResponse) -> str:
    try:
        error = response.parse_json()["error"]
        reason = f"{error['code']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        reason = response.reason or "no reason"
    return make_printable(reason, _MAX_MESSAGE_LENGTH).rstrip(".")


def fetch_access_token(url: str, client_id: str | None) -> str:
    """Return an access token for the API at this address. Raises ToolError.

    `client_id`: of a managed identity that the machine has in addition to its own.
    """
    return asyncio.run(_fetch(f"{url}/.default", client_id))


async def _fetch(scope: str, client_id: str | None) -> str:
    from config.identity import AppIdentity
    from config.settings.model import Settings
    from jobs.errors import TokenUnavailable

    identity = AppIdentity(Settings(environment="dev", managed_identity_client_id=client_id))
    try:
        return await identity.get_token(scope)
    except TokenUnavailable as error:
        raise ToolError(str(error)) from None
    finally:
        await identity.aclose()
