from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from jobs.checks.errors import CaFileUnusable, ClientCertificateUnusable
from jobs.checks.net import tls_contexts as tls_module
from jobs.checks.net.tls_contexts import CaFiles, TlsContexts
from jobs.runs import ErrorClass
from jobs.targets import TlsOptions
from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check
from tests.parts.http_target import HttpTarget
from tests.parts.tls import authority, ca_file


async def test_a_good_certificate_is_accepted(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="good") as server:
        observed = await run_check(server.url, tls={"ca_file": server.ca_file})
    assert (observed.status, observed.error) == (200, None)


async def test_any_certificate_is_accepted_when_no_one_verifies(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="self_signed") as server:
        assert (await run_check(server.url, tls={"verify": False})).status == 200


async def test_a_context_is_made_once_for_all_who_request_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[TlsOptions] = []
    make = tls_module._make_context

    def make_and_report(tls: TlsOptions, *more: Any) -> ssl.SSLContext:
        made.append(tls)
        return make(tls, *more)

    monkeypatch.setattr(tls_module, "_make_context", make_and_report)
    contexts = TlsContexts()
    same = await asyncio.gather(*(contexts.get_context(TlsOptions()) for _ in range(5)))
    assert len(set(map(id, same))) == 1
    assert await contexts.get_context(TlsOptions(verify=False)) is not same[0]
    assert made == [TlsOptions(), TlsOptions(verify=False)]


async def test_a_ca_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    file, now = tmp_path / "ca.pem", 0.0
    shutil.copy(ca_file(), file)
    contexts, tls = TlsContexts(CaFiles(monotonic=lambda: now)), TlsOptions(ca_file=str(file))
    first = await contexts.get_context(tls)
    assert await contexts.get_context(tls) is first
    trustme.CA().cert_pem.write_to_path(file)
    now = 1.0
    assert await contexts.get_context(tls) is not first


async def test_the_authorities_of_the_system_are_trusted() -> None:
    context = await TlsContexts().get_context(TlsOptions())
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_without_authorities_of_the_system_those_of_certifi_are_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls_module, "_system_has_authorities", lambda: False)
    context = await TlsContexts().get_context(TlsOptions())
    assert len(context.get_ca_certs()) > 50


@pytest.mark.parametrize(
    ("content", "expected"), [(None, "it is a directory"), (b"no PEM", "it contains no certificate in PEM form")]
)
async def test_an_unusable_ca_file_is_named_with_the_reason(
    tmp_path: Path, content: bytes | None, expected: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(CaFileUnusable) as caught:
        await TlsContexts(CaFiles(explained=[tmp_path])).get_context(TlsOptions(ca_file=str(file)))
    assert str(caught.value) == f"The CA file {file} of this target cannot be used: {expected}."


# --- client certificates ---


@cache
def shown() -> str:
    """A certificate for a client, with its key, PEM."""
    made = authority().issue_cert("probe.internal")
    return (made.cert_chain_pems[0].bytes() + made.private_key_pem.bytes()).decode()


def demanding() -> HttpTarget:
    """A target that talks to those alone that our authority has signed."""
    server = HttpTarget(tls="good")
    assert server._context is not None
    server._context.load_verify_locations(ca_file())
    server._context.verify_mode = ssl.CERT_REQUIRED
    return server


TLS = {"ca_file": ca_file(), "client_certificate": {"secret": "probe"}}


async def test_a_client_certificate_is_shown() -> None:
    async with demanding() as server, open_http_check({"probe": shown()}) as run_check:
        assert (await run_check(server.url, tls=TLS)).status == 200
        without = await run_check(server.url, tls={"ca_file": ca_file()})
    # What follows is up to the server: an alert, see the zoo, or no word at all, as asyncio's.
    assert without.error in (ErrorClass.TLS_FAILURE, ErrorClass.CONNECTION_RESET)


async def test_a_client_certificate_that_has_changed_is_shown_from_then_on() -> None:
    contexts, tls = TlsContexts(), TlsOptions()
    first = await contexts.get_context(tls, client_certificate=shown())
    assert await contexts.get_context(tls, client_certificate=shown()) is first
    assert await contexts.get_context(tls, client_certificate=shown() + "\n") is not first
    assert await contexts.get_context(tls) is not first


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pem: "no PEM",
        lambda pem: pem.partition("-----BEGIN RSA")[0].partition("-----BEGIN PRIVATE")[0].partition("-----BEGIN EC")[0],
        lambda pem: pem.replace("A", "B"),
        lambda pem: encrypted(pem),
    ],
    ids=["no PEM", "without a key", "broken", "encrypted"],
)
async def test_a_client_certificate_that_is_none_reports_nothing_of_the_target(spoil: Callable[[str], str]) -> None:
    spoilt = spoil(shown())
    async with demanding() as server, open_http_check({"probe": spoilt}) as run_check:
        observed = await run_check(server.url, tls=TLS)
    assert (observed.error, server.connections) == (ErrorClass.SECRET_UNAVAILABLE, 0)
    assert observed.message.startswith("The secret probe contains no usable client certificate: ")


def encrypted(pem: str) -> str:
    key = serialization.load_pem_private_key(pem.encode(), None)
    hidden = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    )
    return pem.partition("-----END CERTIFICATE-----\n")[0] + "-----END CERTIFICATE-----\n" + hidden.decode()


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "file"])
async def test_a_client_certificate_leaves_no_file(
    memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not memory:
        monkeypatch.delattr(os, "memfd_create")
    await TlsContexts().get_context(TlsOptions(), client_certificate=shown())
    with pytest.raises(ClientCertificateUnusable):
        await TlsContexts().get_context(TlsOptions(), client_certificate="no PEM")
    assert os.listdir(tmp_path) == []


async def test_only_so_many_contexts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_module, "MAX_CACHED_CONTEXTS", 1)
    contexts = TlsContexts()
    first = await contexts.get_context(TlsOptions())
    await contexts.get_context(TlsOptions(verify=False))
    assert await contexts.get_context(TlsOptions()) is not first
