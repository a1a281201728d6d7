"""A target that is asked by its address, or by another name than its certificate has: the job says the name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from jobs.runs import ErrorClass
from jobs.targets import HttpTarget as Asked
from tests.jobs.checks.http_check import HttpCheckDriver
from tests.parts import bad_tls
from tests.parts.http_target import HttpTarget
from tests.parts.proxy import Proxy
from tests.parts.tls import ca_file

NAMED = {"server_name": "other.example", "tls": {"ca_file": ca_file()}}


async def test_a_certificate_for_the_name_that_the_job_says_is_taken(ask: HttpCheckDriver) -> None:
    async with HttpTarget(tls="wrong_name") as server:
        seen = await ask(server.url, headers={"Host": "other.example"}, **NAMED)
        assert (seen.status, server.last.headers["host"]) == (200, "other.example"), seen.message


async def test_a_certificate_for_the_host_alone_is_not(ask: HttpCheckDriver) -> None:
    async with HttpTarget(tls="good") as server:
        seen = await ask(server.url, **NAMED)
    assert seen.error is ErrorClass.TLS_CERTIFICATE
    assert f"of 127.0.0.1:{server.port} is not valid for other.example" in seen.message


async def test_a_name_that_only_the_subject_says_counts_for_nobody_as_with_browsers(ask: HttpCheckDriver) -> None:
    async with bad_tls.name_in_subject_alone("other.example") as server:
        seen = await ask(server.url, **NAMED)
    assert seen.error is ErrorClass.TLS_CERTIFICATE
    assert "is not valid for other.example" in seen.message
    assert "subject" in seen.message


async def test_the_name_is_not_asked_for_where_a_redirect_leads(ask: HttpCheckDriver) -> None:
    async with HttpTarget(tls="wrong_name") as server, HttpTarget(tls="good") as elsewhere:
        server.on("/", 302, headers={"location": elsewhere.url + "/"})
        server.on("/again", 302, headers={"location": "/"})
        seen = await ask(server.url + "/again", **NAMED)
    assert (seen.status, len(elsewhere.requests)) == (200, 1), seen.message


async def test_the_name_is_asked_for_through_a_proxy(ask: HttpCheckDriver) -> None:
    async with HttpTarget(tls="wrong_name") as server, Proxy() as proxy:
        seen = await ask(server.url, proxy=proxy.url, **NAMED)
    assert seen.status == 200, seen.message


def test_a_name_goes_not_with_connections_that_others_may_use() -> None:
    with pytest.raises(ValidationError, match="server_name"):
        Asked(url="https://10.0.0.7/", server_name="shop.example", connection="kept")
