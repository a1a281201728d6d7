"""Whether a host serves the certificate that a resource has: the preset, a resource, and a real handshake."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.presets.library import NO_OWN_PRESETS
from jobs.checks.binding.rules import find_deliveries
from jobs.checks.clock import PhaseClock
from jobs.checks.net import network
from jobs.checks.port import AttemptContext
from jobs.definition import JobDefinition
from jobs.expectations import judge
from jobs.policies import Timeouts
from jobs.runs import ErrorClass, Failure, Observation
from jobs.targets.azure import CertificateEdge
from tests.parts.azure_apis import TARGET, AzureApis
from tests.parts.http_server import Answer

HOST = "graph.microsoft.us"
"""One of the names of the server's certificate: it is the edge, too."""
OTHER = "0123456789ABCDEF0123456789ABCDEF01234567"
LABEL = "Azure Microsoft.Web/certificates/shop"


def certificate(thumbprint: Any, days: int = 90) -> Answer:
    """A certificate of App Service, after the example of its API."""
    ends = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    properties = {"hostNames": [HOST], "issuer": "CA", "expirationDate": ends, "thumbprint": thumbprint}
    return Answer.of_json({"name": "shop", "type": "Microsoft.Web/certificates", "properties": properties})


async def served_by(azure: AzureApis) -> str:
    target = TARGET.validate_python({"kind": "tls", "host": HOST})
    shown = await azure.checks.observe(target, AttemptContext("job@1", 1, PhaseClock()))
    return str(shown.facts["thumbprint"])


async def check(azure: AzureApis, answer: Answer, **values: Any) -> tuple[Observation, tuple[Failure, ...]]:
    preset = NO_OWN_PRESETS.find("certificate-deployed")
    assert preset is not None
    job = JobDefinition.model_validate({"name": "a", **preset.fill({**preset.examples, "host": HOST, **values}).job})
    azure.script = [answer]
    observed = await azure.observe(job.check.model_dump(mode="json", by_alias=True, exclude_unset=True))
    return observed, () if observed.unknown or observed.error else judge(observed, job.expect)


@pytest.mark.parametrize("form", [str, str.lower, lambda text: ":".join(text[i : i + 2] for i in range(0, 40, 2))])
async def test_a_host_that_serves_the_certificate_of_the_resource_is_up(form: Any) -> None:
    async with AzureApis.open() as azure:
        observed, failures = await check(azure, certificate(form(await served_by(azure))))
        assert (observed.unknown, observed.error, failures) == ("", None, ())
        assert observed.facts["days_left"] == 89
        assert observed.certificates


async def test_a_host_that_serves_another_certificate_is_down_with_both_named() -> None:
    async with AzureApis.open() as azure:
        served = await served_by(azure)
        observed, _ = await check(azure, certificate(OTHER, days=300))
        assert observed.error is ErrorClass.TLS_CERTIFICATE
        ends = (datetime.now(UTC) + timedelta(days=300)).strftime("%Y-%m-%dT")
        assert observed.message.startswith(
            f"{HOST}:443 serves another certificate than {LABEL} has: serial {observed.facts['serial']}, "
            f"thumbprint {served}, valid to {observed.facts['not_after']}; the resource has thumbprint {OTHER}, "
            f"valid to {ends}"
        )


async def test_one_of_several_certificates_of_a_resource_is_enough() -> None:
    async with AzureApis.open() as azure:
        names = [{"hostName": "a", "certificate": {"thumbprint": one}} for one in (OTHER, await served_by(azure))]
        answer = Answer.of_json({"properties": {"hostnameConfigurations": names}})
        paths = {"thumbprint": "$.properties.hostnameConfigurations[*].certificate.thumbprint"}
        observed, _ = await check(azure, answer, **paths)
        assert observed.error is None


async def test_a_certificate_that_ends_soon_is_named_where_it_is() -> None:
    async with AzureApis.open() as azure:
        own = certificate(await served_by(azure), days=5)
        _, failures = await check(azure, own)
        assert [failure.severity for failure in failures] == ["degraded"]
        _, failures = await check(azure, own, days=100)
        assert failures[0].expectation == "fact days_left"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (AzureApis.refusal(401, "InvalidAuthenticationToken"), "did not accept the token"),
        (AzureApis.refusal(403, "AuthorizationFailed"), "lacks the role Reader at /subscriptions/"),
        (AzureApis.refusal(429, "TooManyRequests", retry_after="2"), "no requests until"),
        (AzureApis.refusal(500, "InternalServerError"), "This is not the target's fault."),
        (certificate(None), f"{LABEL} has no certificate with a thumbprint at $.properties.thumbprint."),
        (certificate("x"), "has no certificate with a thumbprint"),
        (Answer.of_json({"properties": []}), "has no certificate with a thumbprint"),
    ],
)
async def test_a_resource_that_does_not_tell_leaves_the_state_unknown_without_a_handshake(
    answer: Answer, words: str
) -> None:
    async with AzureApis.open() as azure:
        observed, _ = await check(azure, answer)
        assert observed.error is None
        assert words in observed.unknown
        assert azure.connections == 1


async def test_a_certificate_that_is_not_accepted_is_down_and_compared_too() -> None:
    async with AzureApis.open() as azure:
        for thumbprint in (OTHER, await served_by(azure)):
            observed, _ = await check(azure, certificate(thumbprint), host="shop.example.com")
            assert observed.error is ErrorClass.TLS_CERTIFICATE
            assert "is not valid for shop.example.com" in observed.message
            assert ("serves another certificate" in observed.message) is (thumbprint == OTHER)


async def test_a_certificate_that_cannot_be_read_is_not_that_of_the_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "read_first_certificate", lambda shown: None)
    async with AzureApis.open() as azure:
        observed, _ = await check(azure, certificate(OTHER))
        assert observed.error is ErrorClass.TLS_CERTIFICATE
        assert f"than {LABEL} has: one that cannot be read; the resource has thumbprint {OTHER}" in observed.message


async def test_an_edge_that_is_silent_or_refuses_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CertificateEdge, "TIMEOUTS", Timeouts(attempt=0.2, run=1.0))
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        closed.bind(("127.0.0.1", 0))
        async with AzureApis.open() as azure:
            lead = network._look_up
            for other, error in ((silent, ErrorClass.TLS_TIMEOUT), (closed, ErrorClass.CONNECTION_REFUSED)):
                address = network.ResolvedAddress(int(socket.AF_INET), *other.getsockname())

                def look_up(host: str, port: int, address: Any = address) -> Any:
                    return [address] if host == HOST else lead(host, port)

                with pytest.MonkeyPatch.context() as names:
                    names.setattr(network, "_look_up", look_up)
                    observed, _ = await check(azure, certificate(OTHER))
                assert (observed.error, observed.unknown) == (error, "")
                assert HOST in observed.message


async def test_a_host_gets_no_token() -> None:
    made = TARGET.validate_python(
        {"kind": "azure_resource", "resource": "/subscriptions/a", "api_version": "2023-12-01", "edge": {"host": HOST}}
    )
    assert [str(one) for delivery in find_deliveries(made) for one in delivery.recipients] == ["management.azure.com"]
    assert [str(place) for place in made.destinations()][1:] == [str(next(made.edge.destinations()))]  # type: ignore[union-attr]
