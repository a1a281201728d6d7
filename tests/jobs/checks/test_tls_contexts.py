from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from pathlib import Path

import pytest

from jobs.checks import tls_contexts as tls_module
from jobs.checks.tls_contexts import CaFileUnusable, TlsContexts
from jobs.targets import Tls
from tests.jobs.checks.asking import Asking
from tests.parts.http_target import HttpTarget
from tests.parts.tls import ca_file


async def test_a_good_certificate_is_accepted(ask: Asking) -> None:
    async with HttpTarget(tls="good") as server:
        seen = await ask(server.url, tls={"ca_file": server.ca_file})
    assert (seen.status, seen.error) == (200, None)


async def test_any_certificate_is_accepted_when_nobody_verifies(ask: Asking) -> None:
    async with HttpTarget(tls="self_signed") as server:
        assert (await ask(server.url, tls={"verify": False})).status == 200


async def test_a_context_is_made_once_for_all_who_ask_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Tls] = []
    make = tls_module._make

    def make_and_tell(tls: Tls) -> ssl.SSLContext:
        made.append(tls)
        return make(tls)

    monkeypatch.setattr(tls_module, "_make", make_and_tell)
    contexts = TlsContexts()
    same = await asyncio.gather(*(contexts.get(Tls()) for _ in range(5)))
    assert len(set(map(id, same))) == 1
    assert await contexts.get(Tls(verify=False)) is not same[0]
    assert made == [Tls(), Tls(verify=False)]


async def test_a_ca_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    shutil.copy(ca_file(), file)
    contexts, tls = TlsContexts(), Tls(ca_file=str(file))
    first = await contexts.get(tls)
    assert await contexts.get(tls) is first
    os.utime(file, (1, 1))
    assert await contexts.get(tls) is not first


async def test_the_authorities_of_the_system_are_trusted() -> None:
    context = await TlsContexts().get(Tls())
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_without_authorities_of_the_system_those_of_certifi_are_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls_module, "_system_has_authorities", lambda: False)
    context = await TlsContexts().get(Tls())
    assert len(context.get_ca_certs()) > 50


@pytest.mark.parametrize(
    ("content", "says"), [(None, "Is a directory"), (b"no PEM", "it holds no certificate in PEM form")]
)
async def test_an_unusable_ca_file_is_named_with_the_reason(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "ca.pem"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(CaFileUnusable) as caught:
        await TlsContexts().get(Tls(ca_file=str(file)))
    assert str(caught.value) == f"The CA file {file} of this target cannot be used: {says}."
