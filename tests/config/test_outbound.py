"""The settings `outbound`, and what libraries are given of them."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.outbound import build_outbound, create_tls_context, describe_proxy_failure, export_proxy
from config.settings.loading import SET, list_settings, load_settings
from config.settings.model import Settings
from jobs.checks.outbound import DIRECT, Outbound, ProxyEndpoint
from tests.parts.tls import ca_file
from tests.project import ROOT

PROXY = ProxyEndpoint("proxy.example", 3128)
AUTHENTICATED = {"PROXY": "http://proxy.example:3128", "PROXY_USER": "user", "PROXY_PASSWORD": "pa55word@x"}


def load(**variables: str) -> Settings:
    environ = {f"SCHEDULER_OUTBOUND__{name}": value for name, value in variables.items()}
    return load_settings(environ, root=ROOT).settings


def problem_of(**variables: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(**variables)
    return str(caught.value)


def test_without_settings_everything_is_direct() -> None:
    assert build_outbound(load(), {}) is DIRECT


def test_the_settings_are_read_from_variables() -> None:
    outbound = build_outbound(load(**AUTHENTICATED, NO_PROXY="corp.example, 10.0.0.0/8"), {})
    assert (str(outbound.proxy), outbound.user, outbound.password) == ("proxy.example:3128", "user", "pa55word@x")
    assert outbound.find_proxy("a.corp.example", 443) is outbound.find_proxy("10.1.1.1", 443) is None


def test_the_password_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from-a-file\n")
    settings = load(PROXY="http://proxy.example:3128", PROXY_USER="user", PROXY_PASSWORD_FILE=str(file))
    assert build_outbound(settings, {}).password == "from-a-file"


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ("http://user:pa55word@proxy.example:3128", "use outbound.proxy_user and outbound.proxy_password"),
        ("https://proxy.example:3128", "write http://HOST:PORT"),
        ("http://proxy.example", "write http://HOST:PORT"),
        ("proxy.example:3128", "write http://HOST:PORT"),
        ("http://proxy.example:3128/path", "write http://HOST:PORT"),
        ("http://proxy.example:x", "is not a URL"),
    ],
)
def test_another_form_of_the_proxy_is_refused_without_its_password(proxy: str, expected: str) -> None:
    problem = problem_of(PROXY=proxy)
    assert problem.startswith("SCHEDULER_OUTBOUND__PROXY: ")
    assert expected in problem
    assert "pa55word" not in problem


@pytest.mark.parametrize("left_out", ["PROXY_PASSWORD", "PROXY"])
def test_user_password_and_proxy_belong_together(left_out: str) -> None:
    assert "outbound: proxy_user" in problem_of(**{k: v for k, v in AUTHENTICATED.items() if k != left_out})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file"),
        (b"no certificate", "no certificate in PEM form"),
        (b"x" * 1_048_577, "larger than 1 MiB"),
    ],
)
def test_a_ca_file_that_cannot_be_used_prevents_the_start(tmp_path: Path, content: bytes | None, expected: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    problem = problem_of(CA_FILE=str(file))
    assert problem.startswith(f"SCHEDULER_OUTBOUND__CA_FILE: {file} cannot be used: ")
    assert expected in problem


def test_the_authorities_are_added_to_the_usual_ones() -> None:
    context = create_tls_context(build_outbound(load(CA_FILE=ca_file()), {}))
    subjects = [dict(part[0] for part in each["subject"]) for each in context.get_ca_certs()]
    assert any(subject.get("organizationName", "").startswith("trustme") for subject in subjects)
    assert len(subjects) == len(ssl.create_default_context().get_ca_certs()) + 1
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_the_list_of_settings_shows_the_proxy_and_no_password() -> None:
    environ = {f"SCHEDULER_OUTBOUND__{name}": value for name, value in AUTHENTICATED.items()}
    shown = {each.path: each.value for each in list_settings(load_settings(environ, root=ROOT))}
    assert shown["outbound", "proxy"] == "http://proxy.example:3128"
    assert shown["outbound", "proxy_password"] == SET
    assert "pa55word" not in "".join(shown.values())


def test_the_token_endpoint_of_the_platform_is_direct() -> None:
    environ = {"IDENTITY_ENDPOINT": "http://identity.platform:4142/token", "MSI_ENDPOINT": ""}
    outbound = build_outbound(load(PROXY="http://proxy.example:3128"), environ)
    assert outbound.find_proxy("identity.platform", 4142) is None
    assert outbound.find_proxy("identity.platform", 443) == outbound.proxy


def test_libraries_without_an_option_find_it_in_the_environment() -> None:
    environ: dict[str, str] = {}
    export_proxy(DIRECT, environ)
    assert environ == {}
    export_proxy(build_outbound(load(**AUTHENTICATED, NO_PROXY=".corp.example,10.0.0.0/8"), {}), environ)
    assert environ["HTTPS_PROXY"] == environ["http_proxy"] == "http://user:pa55word%40x@proxy.example:3128"
    assert environ["NO_PROXY"] == "localhost,127.0.0.0/8,::1,169.254.0.0/16,.corp.example,10.0.0.0/8"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            OSError("Tunnel connection failed: 407 Proxy Authentication Required"),
            "407 Proxy Authentication Required: check",
        ),
        (
            OSError("Tunnel connection failed: 403 Forbidden"),
            "the proxy proxy.example:3128 refused CONNECT: 403 Forbidden",
        ),
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "cannot be reached: Connection refused"),
        (ValueError("\x1b[31mbad"), r"the request through the proxy proxy.example:3128 failed: \x1b[31mbad"),
    ],
)
def test_a_failure_names_the_proxy(error: Exception, expected: str) -> None:
    assert expected in describe_proxy_failure(PROXY, error)


def test_a_way_without_a_proxy_has_no_secret() -> None:
    assert Outbound(authorities=("a",)).secrets == ()
