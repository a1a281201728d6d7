"""An upgrade of a library that changes what is not public fails here."""

from __future__ import annotations

import importlib
import inspect
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from tests.jobs.library_internals import LIBRARY_INTERNALS, LibraryInternal
from tests.project import ROOT

_SIGNATURES = {
    "httpx.AsyncClient._transport_for_url": ["self", "url"],
    "httpcore.AsyncHTTP2Connection._read_incoming_data": ["self", "request"],
    "httpcore.AsyncHTTP2Connection._receive_stream_event": ["self", "request", "stream_id"],
    "opentelemetry._logs.get_logger_provider": [],
    "uvicorn.Server.main_loop": ["self"],
    "uvicorn.Server.capture_signals": ["self"],
}


def _resolve(name: str) -> Any:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ImportError(name)


def _of_instance(name: str) -> Any:
    """Return internals that only objects have."""
    match name:
        case "httpx.Request._content":
            return httpx.Request("POST", "http://a.internal/", content=b"body")._content
        case "aiohttp.ClientResponse._body":
            return aiohttp.ClientResponse.__annotations__["_body"]
        case "ssl.SSLObject._sslobj":
            context = ssl.create_default_context()
            session = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.internal")
            return session._sslobj.get_unverified_chain  # type: ignore[attr-defined]
        case "azure.data.tables.aio.TableClient._client":
            from azure.core.credentials import AzureNamedKeyCredential
            from azure.data.tables.aio import TableClient

            credential = AzureNamedKeyCredential("a", "a2V5")
            return TableClient(
                "https://a.table.core.windows.net", "runs", credential=credential
            )._client._client.send_request
        case "httpx._main":
            return Path(httpx.__file__).with_name("_main.py").read_text()
        case _:
            return _resolve(name)


@pytest.mark.parametrize("internal", LIBRARY_INTERNALS, ids=lambda internal: internal.name)
def test_the_library_still_has_it(internal: LibraryInternal) -> None:
    assert _of_instance(internal.name) is not None
    if internal.name in _SIGNATURES:
        assert list(inspect.signature(_resolve(internal.name)).parameters) == _SIGNATURES[internal.name]


@pytest.mark.parametrize("internal", LIBRARY_INTERNALS, ids=lambda internal: internal.name)
def test_the_product_still_uses_it(internal: LibraryInternal) -> None:
    assert internal.name.rpartition(".")[2] in (ROOT / internal.used_by).read_text()
