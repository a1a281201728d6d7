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


async def test_a_certificate_for_the_name_that_the_job_reports_is_accepted(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="wrong_name") as server:
        observed = await run_check(server.url, headers={"Host": "other.example"}, **NAMED)
        assert (observed.status, server.last.headers["host"]) == (200, "other.example"), observed.message


async def test_a_certificate_for_the_host_alone_is_not(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="good") as server:
        observed = await run_check(server.url, **NAMED)
    assert observed.error is ErrorClass.TLS_CERTIFICATE
    assert f"of 127.0.0.1:{server.port} is not valid for other.example" in observed.message


async def test_a_name_that_only_the_subject_reports_counts_for_no_caller_as_with_browsers(
    run_check: HttpCheckDriver,
) -> None:
    async with bad_tls.name_in_subject_alone("other.example") as server:
        observed = await run_check(server.url, **NAMED)
    assert observed.error is ErrorClass.TLS_CERTIFICATE
    assert "is not valid for other.example" in observed.message
    assert "subject" in observed.message


async def test_the_name_is_not_requested_where_a_redirect_leads(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="wrong_name") as server, HttpTarget(tls="good") as elsewhere:
        server.on("/", 302, headers={"location": elsewhere.url + "/"})
        server.on("/again", 302, headers={"location": "/"})
        observed = await run_check(server.url + "/again", **NAMED)
    assert (observed.status, len(elsewhere.requests)) == (200, 1), observed.message


async def test_the_name_is_requested_through_a_proxy(run_check: HttpCheckDriver) -> None:
    async with HttpTarget(tls="wrong_name") as server, Proxy() as proxy:
        observed = await run_check(server.url, proxy=proxy.url, **NAMED)
    assert observed.status == 200, observed.message


def test_a_name_goes_not_with_connections_that_others_may_use() -> None:
    with pytest.raises(ValidationError, match="server_name"):
        Asked(url="https://10.0.0.7/", server_name="shop.example", connection="kept")
