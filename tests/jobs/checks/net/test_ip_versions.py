"""A job may say by which version of IP its target is asked."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.checks.clock import PhaseClock
from jobs.checks.kinds.tcp import TcpCheck
from jobs.checks.kinds.tls import TlsCheck
from jobs.checks.net.network import Network, ResolvedAddress, Resolver
from jobs.checks.net.tls_contexts import TlsContexts
from jobs.checks.port import AttemptContext
from jobs.redaction import Redactor
from jobs.runs import ErrorClass
from jobs.targets import HttpTarget as Asked
from jobs.targets import TcpTarget, TlsTarget
from tests.jobs.checks.http_check import HttpCheckDriver, MemorySecrets
from tests.parts.http_target import HttpTarget


@pytest.fixture
async def servers(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[int, HttpTarget]]:
    """One for each version; every name leads to both, to the newer one first."""
    async with HttpTarget(host="::1", tls="good") as six, HttpTarget(tls="good") as four:

        async def addresses(*_: object) -> list[ResolvedAddress]:
            return [
                ResolvedAddress(socket.AF_INET6, "::1", six.port),
                ResolvedAddress(socket.AF_INET, "127.0.0.1", four.port),
            ]

        monkeypatch.setattr(Resolver, "resolve", addresses)
        yield {4: four, 6: six}


PLACES = [(4, "127.0.0.1"), (6, "::1"), (None, "::1")]
UNVERIFIED = {"verify": False}


@pytest.mark.parametrize(("version", "place"), PLACES)
async def test_a_name_is_queried_at_its_addresses_of_this_version(
    run_check: HttpCheckDriver, servers: dict[int, HttpTarget], version: int | None, place: str
) -> None:
    observed = await run_check("https://checkout.internal/", ip_version=version, tls=UNVERIFIED)
    assert (observed.facts["remote_address"], len(servers[version or 6].requests)) == (place, 1)


async def test_a_redirect_is_followed_by_the_same_version(
    run_check: HttpCheckDriver, servers: dict[int, HttpTarget]
) -> None:
    servers[4].on("/", 302, headers={"location": "https://elsewhere.internal/there"})
    observed = await run_check("https://checkout.internal/", ip_version=4, tls=UNVERIFIED)
    assert (observed.status, [request.path for request in servers[4].requests]) == (200, ["/", "/there"])


@pytest.mark.parametrize(("version", "place"), PLACES)
@pytest.mark.usefixtures("servers")
async def test_connections_and_handshakes_are_made_by_it_too(version: int | None, place: str) -> None:
    network, contexts = Network(), TlsContexts()
    target = {"host": "checkout.internal", "port": 443, "tls": UNVERIFIED, "ip_version": version}
    tcp = TcpCheck(MemorySecrets(), Redactor(), network, contexts)
    heard = await tcp.observe(
        TcpTarget.model_validate({"kind": "tcp", **target}), AttemptContext("a@1", 1, PhaseClock())
    )
    tls = TlsCheck(network, contexts)
    shaken = await tls.observe(
        TlsTarget.model_validate({"kind": "tls", **target}), AttemptContext("a@1", 1, PhaseClock())
    )
    assert [observed.facts["remote_address"] for observed in (heard, shaken)] == [place, place]
    network.close()


@pytest.mark.parametrize(("url", "version"), [("http://127.0.0.1:9/", 6), ("http://[::1]:9/", 4)])
async def test_an_address_of_the_other_version_cannot_be_requested(
    run_check: HttpCheckDriver, url: str, version: int
) -> None:
    observed = await run_check(url, ip_version=version)
    assert observed.error is ErrorClass.DNS_FAILURE
    assert (
        observed.message == f"{observed.message.partition(' has ')[0]} has no IPv{version} address: check ip_version."
    )


@pytest.mark.parametrize("more", [{"connection": "kept"}, {"proxy": "http://proxy.internal:3128"}], ids=str)
def test_a_version_goes_not_with_connections_that_others_make_or_use(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="ip_version"):
        Asked.model_validate({"url": "https://checkout.internal/", "ip_version": 4, **more})
