"""Nothing of a definition that names a secret is forgotten by those who decide who gets it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.checks.binding.names import Recipient
from jobs.checks.binding.rules import CredentialDelivery, find_deliveries
from jobs.definition import JobDefinition
from jobs.model_base import find_secret_names


def secret(name: str) -> dict[str, str]:
    return {"secret": name}


EVERYTHING: dict[str, Any] = {
    "url": "https://api.internal/",
    "headers": {"X-A": secret("header")},
    "query": {"a": secret("query")},
    "body": {"form": {"a": secret("form")}},
    "auth": {
        "kind": "oauth2",
        "token_url": "https://login.example/token",
        "client_id": secret("id"),
        "client_secret": secret("client"),
    },
    "tls": {"client_certificate": secret("certificate")},
    "proxy": "http://proxy.internal:3128",
    "proxy_auth": {"username": secret("proxy-user"), "password": secret("proxy-password")},
}
API, LOGIN = Recipient("api.internal", 443), Recipient("login.example", 443)
PROXY = Recipient("proxy.internal", 3128)


def sent(check: dict[str, Any]) -> list[CredentialDelivery]:
    return list(find_deliveries(JobDefinition.model_validate({"name": "a", "check": check}).check))


def test_every_secret_of_a_definition_has_a_user_who_gets_it() -> None:
    steps = {"kind": "steps", "steps": [{"name": "one", **EVERYTHING}], "cleanup": [{"name": "two", **EVERYTHING}]}
    tcp = {"kind": "tcp", "host": "mail.internal", "port": 25, "dialogue": [{"send": secret("line")}]}
    for check in (EVERYTHING, steps, tcp):
        target = JobDefinition.model_validate({"name": "a", "check": check}).check
        assert {sending.credential.name for sending in find_deliveries(target)} == find_secret_names(target)


def test_each_caller_gets_what_is_meant_for_it() -> None:
    found: dict[str, set[Recipient]] = {}
    for sending in sent(EVERYTHING):
        found.setdefault(sending.credential.name, set()).update(sending.recipients)
    assert found == {
        "header": {API},
        "query": {API},
        "form": {API},
        "id": {API, LOGIN},
        "client": {API, LOGIN},
        "certificate": {API, LOGIN},
        "proxy-user": {PROXY},
        "proxy-password": {PROXY},
    }


def test_a_proxy_gets_what_it_can_read() -> None:
    plain = {**EVERYTHING, "url": "http://api.internal/", "allow_plain_http": True, "auth": {"kind": "none"}}
    unchecked = {**EVERYTHING, "tls": {"verify": False}}
    for check in (plain, unchecked):
        for sending in sent(check):
            assert PROXY in sending.recipients


def test_a_step_belongs_to_the_host_of_the_one_before_unless_an_answer_reports_where() -> None:
    steps = [
        {"name": "one", "url": "https://api.internal/", "save": {"next": {"header": "location"}}},
        {"name": "two", "url": "/two", "headers": {"X-A": secret("two")}},
        {"name": "three", "url": "${next}", "headers": {"X-A": secret("three")}},
        {"name": "four", "url": "/four", "headers": {"X-A": secret("four")}},
    ]
    assert [(one.credential.name, one.recipients) for one in sent({"kind": "steps", "steps": steps})] == [
        ("two", (API,))
    ]


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("other.internal", "other.internal"),
        ("Other.Internal.:8443", "other.internal"),
        ("[::1]:8443", "::1"),
        ("[.]", ""),
        ("[1.2]", "1.0.0.2"),
    ],
)
def test_a_header_host_is_read_however_odd_it_is(host: str, place: str) -> None:
    (one,) = sent({"url": "https://api.internal/", "headers": {"Host": host, "X-A": secret("a")}})
    assert [str(place.host) for place in one.recipients] == ["api.internal", place]


_ODD = st.text(alphabet="ab.:/@[]%0x\u3002\u00df\ud800 -_1{$}#?\\", max_size=20)


@pytest.mark.property
@given(_ODD, _ODD, _ODD)
def test_no_definition_that_loads_breaks_the_look(url: str, host: str, name: str) -> None:
    check = {"headers": {"Host": host, "X-A": secret("a")}, "server_name": name or None}
    for odd in (f"https://{url}", f"https://a/{url}"):
        with suppress(ValidationError):
            list(sent({"url": odd, **check}))
        with suppress(ValidationError):
            list(
                sent({"kind": "steps", "steps": [{"name": "a", "url": odd, **check}, {"name": "b", "url": f"/{url}"}]})
            )
    with suppress(ValidationError):
        list(sent({"kind": "tcp", "host": name, "port": 1, "dialogue": [{"send": secret("a")}]}))
