"""What endpoints of the program's clients answer is as hostile as a target's answer: each answer costs bounded time and
memory, and the client reports it. Receivers, mail servers and calendars: test_hostile_answers.
"""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import httpx
import pytest

from config import azure_clients, identity
from config.identity import AppIdentity
from config.secrets import key_vault
from config.secrets.key_vault import KeyVault
from config.settings.model import Settings
from jobs.errors import SecretUnavailable, TokenUnavailable
from jobs.redaction import Redactor
from jobs.responses import BlockingClient
from jobs.running.clocks import SystemClock
from observability.exporters import datadog as datadog_client
from observability.exporters import otlp_sdk as otlp_client
from observability.exporters.application_insights_sdk import TrackIntake, encode_rows
from observability.exporters.background import DeliveryCounts, Pace
from observability.exporters.bounded_urllib3 import open_bounded_session
from observability.exporters.outbox import SendResult, pack_list
from observability.exporters.spool_folder import SpooledRequest
from observability.generation.azure import arm_client
from observability.generation.datadog import target as datadog_api
from observability.generation.document import ToolError
from observability.generation.grafana import target as grafana_api
from scheduler.authentication import entra
from scheduler.authentication.port import AuthenticationUnavailable
from scheduler.features.delivery import remote
from tests.parts import bad_answers, bad_servers
from tests.parts.application_insights import INSTRUMENTATION_KEY, QUIET
from tests.parts.azure_identity import FakeCredential
from tests.parts.bad_servers import BadServer
from tests.parts.tls import ca_file, server_context

LIMIT = 64 * 1024
"""Bytes of a body, of every client."""
TIMEOUT = 0.25
"""Seconds for a response, of every client."""
MAX_SECONDS = 8.0
"""For one answer: four requests of the management API's client, on a busy machine."""
MAX_MEMORY = 16 * 1024 * 1024
"""With the server of the test."""


@cache
def _nested_gzip() -> bytes:
    return gzip.compress(gzip.compress(gzip.compress(bytes(64 * 1024**2), mtime=0), mtime=0), mtime=0)


_JSON = "Content-Type: application/json"
_CHUNKED = bad_servers.OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWERS: dict[str, Callable[[], BadServer]] = {
    "gzip in gzip in gzip": lambda: bad_servers.answering(
        bad_answers.answer(_nested_gzip(), "Content-Encoding: gzip, gzip, gzip")
    ),
    "64 MiB in gzip": lambda: bad_servers.gzip_bomb(64 * 1024**2),
    "1 GiB of zeros": lambda: bad_servers.endless(bad_answers.head(f"Content-Length: {2**30}"), bytes(64 * 1024)),
    "chunks without end": bad_servers.endless_body,
    "chunks of a byte": lambda: bad_servers.endless(_CHUNKED, b"1\r\nx\r\n" * 5000),
    "a chunk size without end": bad_servers.endless_chunk_extension,
    "trailers without end": lambda: bad_servers.endless(_CHUNKED + b"0\r\n", b"X: y\r\n" * 5000),
    "header lines without end": bad_servers.endless_headers,
    "a header line without end": lambda: bad_servers.endless(bad_servers.OK_HEAD + b"X: ", b"x" * 64 * 1024),
    "100 without end": bad_servers.endless_continue,
    "103 without end": partial(bad_servers.endless_continue, "103 Early Hints"),
    "a slow head": bad_servers.dripping_headers,
    "a slow body": bad_servers.dripping_body,
    "silence": bad_servers.black_hole,
    "deep JSON": lambda: bad_servers.answering(bad_answers.answer(b"[" * 100_000, _JSON)),
    "other JSON": lambda: bad_servers.answering(bad_answers.answer(b'[{"a": [1e999, null, "\\ud800"]}]', _JSON)),
    "an error with deep JSON": lambda: bad_servers.answering(
        bad_answers.answer(b'{"error":' * 50_000, _JSON, status="HTTP/1.1 400 \x1b[31mBad")
    ),
    "a shorter body": lambda: bad_servers.answering(bad_answers.SHORTER_THAN_PROMISED),
    "a negative length": lambda: bad_servers.answering(bad_answers.NEGATIVE_LENGTH),
    "a length beyond all": lambda: bad_servers.answering(bad_answers.LENGTH_BEYOND_ALL),
    "two lengths": lambda: bad_servers.answering(bad_answers.TWO_LENGTHS),
    "no HTTP": bad_servers.garbage,
}

Ask = Callable[[str], Awaitable[str]]
"""Let a client call an address, and return what it reports: empty if it found nothing wrong."""


async def ask_for_signing_keys(url: str) -> str:
    with pytest.raises(AuthenticationUnavailable) as caught:
        await entra.SigningKeys(f"{url}/keys", SystemClock()).find("a")
    return str(caught.value)


async def ask_for_identity(url: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
        patch.setenv("IDENTITY_HEADER", "header")
        app_identity = AppIdentity(Settings(environment="prod"))
        try:
            with pytest.raises(TokenUnavailable) as caught:
                await app_identity.get_token("api://checkout/.default")
        finally:
            await app_identity.aclose()
    return str(caught.value)


async def ask_vault(url: str) -> str:
    app_identity: Any = FakeCredential()

    async def open_credential() -> FakeCredential:
        return FakeCredential()

    app_identity.open_credential = open_credential
    vault = KeyVault(url, app_identity, SystemClock(), {"connection_verify": ca_file()})
    try:
        with pytest.raises(SecretUnavailable) as caught:
            await vault.read_secret("token")
    finally:
        await vault.aclose()
    return str(caught.value)


async def ask_management_api(url: str) -> str:
    key = remote.RemoteKey(None, "KEY")

    async def sleep(_: float) -> None:
        """Try again at once."""

    async with httpx.AsyncClient(base_url=url) as client:
        api = remote.RemoteApi(client, remote.RemoteKeys(key, key), sleep)
        with pytest.raises(remote.RemoteError):
            await api.get_lines("/api/exports/jobs")
        with pytest.raises(remote.RemoteError) as caught:
            _ = [job async for job in api.iterate("/api/jobs", "jobs")]
        return str(caught.value)


def as_reported(result: SendResult) -> str:
    counts = DeliveryCounts("telemetry", Redactor())
    if result.reason:
        counts.record_failure(result.reason)
        assert counts.health().state == "degraded"
    return counts.health().last_error


async def ask_otlp(url: str) -> str:
    def send() -> str:
        client = otlp_client.OtlpClient({}, None, "1")
        try:
            request = SpooledRequest("traces", b"\x0a\x00", 1, 1.0, 2.0)
            return as_reported(otlp_client.OtlpIntake("traces", url, client).send(request, TIMEOUT))
        finally:
            client.close()

    return await asyncio.to_thread(send)


async def ask_application_insights(url: str) -> str:
    from azure.monitor.opentelemetry.exporter import AzureMonitorLogExporter

    def send() -> str:
        exporter = AzureMonitorLogExporter(
            connection_string=f"InstrumentationKey={INSTRUMENTATION_KEY};IngestionEndpoint={url}/",
            disable_offline_storage=True,
            retry_total=0,
            session=open_bounded_session(LIMIT),
        )
        body = encode_rows([{"name": "a", "iKey": INSTRUMENTATION_KEY}], Pace())
        return as_reported(TrackIntake(exporter, Pace()).send(SpooledRequest("track", body, 1, 1.0, 2.0), TIMEOUT))

    return await asyncio.to_thread(send)


async def ask_datadog(url: str) -> str:
    def send() -> str:
        client = datadog_client.DatadogClient("k" * 32, "datadoghq.com", url)
        try:
            body = pack_list([{"message": "a"}], Pace())
            request = SpooledRequest("logs", body, 1, 1.0, 2.0)
            return as_reported(datadog_client.DatadogIntake("logs", client, Pace()).send(request, TIMEOUT))
        finally:
            client.close()

    return await asyncio.to_thread(send)


async def ask_datadog_for_monitors(url: str) -> str:
    def fetch() -> str:
        client = datadog_api._open_client("k" * 32, "a" * 40, "datadoghq.com", url)
        with pytest.raises(ToolError) as caught:
            datadog_api.DatadogApi(client, ()).fetch("monitor", "1")
        return str(caught.value)

    return await asyncio.to_thread(fetch)


async def ask_azure(url: str) -> str:
    def fetch() -> str:
        with BlockingClient(httpx.AsyncClient(base_url=url)) as client, pytest.raises(ToolError) as caught:
            arm_client.ArmClient(client, lambda: "token", lambda _: None).get("/a", {})
        return str(caught.value)

    return await asyncio.to_thread(fetch)


async def ask_grafana(url: str) -> str:
    def fetch() -> str:
        with BlockingClient(httpx.AsyncClient(base_url=url)) as client, pytest.raises(ToolError) as caught:
            grafana_api.GrafanaApi(client, "token", "folder").fetch("dashboard", "a")
        return str(caught.value)

    return await asyncio.to_thread(fetch)


CLIENTS: dict[str, Ask] = {
    "signing keys of Entra ID": ask_for_signing_keys,
    "managed identity": ask_for_identity,
    "Key Vault": ask_vault,
    "management API": ask_management_api,
    "OTLP": ask_otlp,
    "Application Insights": ask_application_insights,
    "Datadog": ask_datadog,
    "Datadog's monitors": ask_datadog_for_monitors,
    "Azure Resource Manager": ask_azure,
    "Grafana": ask_grafana,
}
READ_THE_STATUS = ("OTLP", "Datadog")
"""Clients for which the status says enough: they report a body that they cannot read only if it does not end."""


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in QUIET.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(remote, "MAX_TRIES", 2)
    for module, name in (
        (entra, "_MAX_BYTES"),
        (azure_clients, "MAX_BYTES"),
        (remote, "_MAX_RESPONSE_BYTES"),
        (arm_client, "_MAX_RESPONSE_BYTES"),
        (datadog_api, "_MAX_RESPONSE_BYTES"),
        (grafana_api, "_MAX_RESPONSE_BYTES"),
    ):
        monkeypatch.setattr(module, name, LIMIT)
    for module, name in (
        (entra, "FETCH_TIMEOUT"),
        (identity, "TOKEN_TIMEOUT"),
        (key_vault, "SECRET_TIMEOUT"),
        (remote, "REQUEST_TIMEOUT"),
        (remote, "_EXPORT_TIMEOUT"),
        (arm_client, "_TIMEOUT_S"),
        (datadog_api, "_TIMEOUT_S"),
        (grafana_api, "_TIMEOUT_S"),
    ):
        monkeypatch.setattr(module, name, TIMEOUT)


@contextmanager
def measured(problems: list[str], what: str) -> Iterator[None]:
    tracemalloc.reset_peak()
    before, start = tracemalloc.get_traced_memory()[0], time.monotonic()
    yield
    seconds, peak = time.monotonic() - start, tracemalloc.get_traced_memory()[1] - before
    if seconds > MAX_SECONDS:
        problems.append(f"{what}: {seconds:.1f} s")
    if peak > MAX_MEMORY:
        problems.append(f"{what}: {peak / 1024**2:.1f} MiB")


@pytest.mark.parametrize("name", CLIENTS)
async def test_every_hostile_answer_is_bounded_and_reported(name: str) -> None:
    """In bytes, time and memory."""
    problems: list[str] = []
    tracemalloc.start()
    try:
        for what, make_server in ANSWERS.items():
            server = make_server()
            if name == "Key Vault":  # it sends no token in clear
                server._scheme, server._context = "https", server_context("good")
            async with server:
                with measured(problems, what):
                    try:
                        report = await asyncio.wait_for(CLIENTS[name](server.url), 2 * MAX_SECONDS)
                    except (Exception, pytest.fail.Exception) as error:
                        problems.append(f"{what}: {type(error).__name__}: {str(error)[:200]}")
                        continue
            if not report.isprintable() and "\n" not in report:
                problems.append(f"{what}: {report!r}")
            if not report and name not in READ_THE_STATUS:
                problems.append(f"{what}: not reported")
    finally:
        tracemalloc.stop()
    assert problems == []
