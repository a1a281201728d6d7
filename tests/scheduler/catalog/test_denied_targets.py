"""The log tells at the start of jobs whose target may not be asked, as far as their URLs show it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from jobs.checks.guard import Guard, TargetRules
from jobs.definition import JobDefinition
from scheduler.catalog.job_warnings import describe_denied_targets, warn_about_denied_targets


def reported(caplog: pytest.LogCaptureFixture, guard: Guard, **urls: str) -> list[str]:
    warn_about_denied_targets([job(name, url) for name, url in urls.items()], guard)
    return [record.getMessage() for record in caplog.records]


def job(name: str, url: str, **more: Any) -> JobDefinition:
    return JobDefinition.model_validate({"name": name, "check": {"url": url}, **more})


def test_one_line_names_the_first_jobs_and_why(caplog: pytest.LogCaptureFixture) -> None:
    urls = {f"job-{number}": f"http://10.0.0.{number}/" for number in range(7)}
    assert reported(caplog, Guard(TargetRules()), **urls, public="http://20.50.2.1/") == [
        "7 jobs have targets that the settings do not allow: job-0, job-1, job-2, job-3, job-4 and others. "
        "Not sent: 10.0.0.0 is a private address outside the allowed networks. "
        "To allow it, add its network to the setting targets.networks (SCHEDULER_TARGETS__NETWORKS)."
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/",
        "https://[fe80::1]/",
        "http://shop.internal/",
        "https://shop.internal:8443/",
        "https://shop.example/",
    ],
)
def test_address_scheme_port_and_host_are_checked(caplog: pytest.LogCaptureFixture, url: str) -> None:
    rules = TargetRules(ports=((443, 443),), schemes=frozenset({"https"}), hosts=("*.internal", "169.*", "fe80*"))
    assert len(reported(caplog, Guard(rules), one=url)) == 1


def test_names_named_networks_and_disabled_jobs_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard(TargetRules(networks=(ip_network("10.0.0.0/8"),)))
    assert reported(caplog, guard, name="http://shop.internal/", named="http://10.0.0.1/") == []
    warn_about_denied_targets([job("off", "http://127.0.0.1/", enabled=False)], guard)
    assert caplog.records == []


@pytest.mark.parametrize(
    "check",
    [
        {"kind": "tcp", "host": "10.0.0.1", "port": 25},
        {"kind": "tls", "host": "10.0.0.1"},
        {"kind": "dns", "name": "shop.internal", "server": "10.0.0.1"},
        {
            "kind": "steps",
            "steps": [
                {"name": "one", "url": "https://20.50.2.1/", "save": {"next": {"header": "location"}}},
                {"name": "two", "url": "/two"},
                {"name": "three", "url": "${next}"},
                {"name": "four", "url": "https://10.0.0.1/"},
            ],
        },
        {"url": "https://20.50.2.1/", "proxy": "http://10.0.0.1:3128"},
        {
            "url": "https://20.50.2.1/",
            "auth": {
                "kind": "oauth2",
                "token_url": "https://10.0.0.1/token",
                "client_id": "probe",
                "client_secret": {"secret": "probe"},
            },
        },
    ],
    ids=["tcp", "tls", "dns", "steps", "proxy", "token endpoint"],
)
def test_every_place_that_a_check_names_is_checked(check: dict[str, Any]) -> None:
    one = JobDefinition.model_validate({"name": "one", "check": check})
    assert describe_denied_targets([one], Guard(TargetRules())).startswith(
        "1 job has a target that the settings do not allow: one. Not sent: 10.0.0.1 is a private address"
    )
    assert describe_denied_targets([one], Guard(TargetRules(networks=(ip_network("10.0.0.0/8"),)))) == ""


def test_a_dns_check_of_the_machines_own_server_names_no_place() -> None:
    check = {"kind": "dns", "name": "shop.internal"}
    one = JobDefinition.model_validate({"name": "one", "check": check})
    assert describe_denied_targets([one], Guard(TargetRules(ports=((443, 443),)))) == ""
