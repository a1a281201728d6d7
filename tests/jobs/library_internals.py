"""The parts of libraries that are not public and that the product uses. Read by tests/jobs/test_library_internals.py.

An upgrade that changes one of them fails that test. Nothing is imported here.
"""

from __future__ import annotations

from typing import NamedTuple


class LibraryInternal(NamedTuple):
    """`name`: dotted, from its module on. `used_by`: the file that names its last part."""

    name: str
    used_by: str
    reason: str


LIBRARY_INTERNALS = (
    LibraryInternal(
        "httpx.AsyncClient._transport_for_url",
        "jobs/checks/http/exchange.py",
        "`send` costs as much as the connection, and mocks of httpx replace this method",
    ),
    LibraryInternal(
        "httpx._main",
        "jobs/checks/__init__.py",
        "the command line of httpx loads rich and pygments, 3 MiB",
    ),
    LibraryInternal(
        "httpcore.AsyncHTTP2Connection._read_incoming_data",
        "jobs/checks/http_transport/http2.py",
        "httpcore does not limit informational responses and header lines",
    ),
    LibraryInternal(
        "httpcore.AsyncHTTP2Connection._receive_stream_event",
        "jobs/checks/http_transport/http2.py",
        "httpcore accepts a response without a status",
    ),
    LibraryInternal(
        "ssl.SSLObject._sslobj",
        "jobs/checks/net/tls_contexts.py",
        "before Python 3.13 there is no public chain of certificates that were not verified",
    ),
    LibraryInternal("anyio._backends._asyncio", "jobs/checks/port.py", "imported before an attempt is measured"),
    LibraryInternal("encodings.idna", "jobs/checks/port.py", "imported before an attempt is measured"),
    LibraryInternal("_strptime", "jobs/checks/port.py", "imported before an attempt is measured"),
    LibraryInternal(
        "pydantic.BaseModel.__pydantic_fields_set__", "jobs/model_base.py", "equal models share their state in memory"
    ),
    LibraryInternal(
        "opentelemetry._logs.get_logger_provider",
        "observability/exporters/application_insights.py",
        "the logs API of OpenTelemetry is not public yet",
    ),
    LibraryInternal(
        "aiohttp.ClientResponse._body",
        "config/azure_clients.py",
        "the library reads a body without a limit, once, and returns this from then on",
    ),
    LibraryInternal(
        "azure.data.tables.aio.TableClient._client",
        "scheduler/stores/azure/transactions.py",
        "a transaction built by the library costs ten times the CPU",
    ),
    LibraryInternal("uvicorn.Server.main_loop", "scheduler/hosts/embedded/server.py", "the host stops the server"),
    LibraryInternal(
        "uvicorn.Server.capture_signals", "scheduler/hosts/embedded/server.py", "the host handles signals itself"
    ),
    LibraryInternal(
        "uvicorn.protocols.http.httptools_impl.HttpToolsProtocol",
        "scheduler/connections/protocol.py",
        "the limits of a connection need its protocol",
    ),
    LibraryInternal("pytds.tls.establish_channel", "jobs/checks/kinds/sqlserver.py", "it would need pyOpenSSL"),
    LibraryInternal("pytds.tds_base._TdsLogin", "jobs/checks/kinds/sqlserver.py", "`connect` follows any redirect"),
    LibraryInternal("pytds.tds_socket._TdsSocket", "jobs/checks/kinds/sqlserver.py", "`connect` follows any redirect"),
    LibraryInternal("redis.Connection._connect", "jobs/checks/kinds/redis.py", "it takes no connected socket"),
)
