"""Whether a request comes from a page of another site, by the headers that browsers send."""

from __future__ import annotations

import pytest

from scheduler.api.middleware.guard import find_site_error


def complaint(*headers: tuple[str, str], server: str = "") -> str:
    def values(name: str) -> list[str]:
        return [value for header, value in headers if header == name]

    return find_site_error(values, server)


HOST = ("host", "localhost:7071")


@pytest.mark.parametrize(
    "headers",
    [
        [HOST],
        [],
        [HOST, ("sec-fetch-site", "same-origin")],
        [HOST, ("sec-fetch-site", "none")],
        [HOST, ("sec-fetch-site", "same-origin"), ("origin", "https://scheduler.example")],
        [HOST, ("origin", "http://localhost:7071")],
        [HOST, ("origin", "HTTP://LOCALHOST:7071")],
        [HOST, ("referer", "http://localhost:7071/api/dashboard?x=http://evil.example")],
        [("host", "scheduler.example"), ("origin", "https://scheduler.example")],
        [("host", "scheduler.example"), ("origin", "http://scheduler.example")],
        [("host", "scheduler.example:443"), ("origin", "https://scheduler.example")],
        [("host", "[::1]:7071"), ("origin", "http://[::1]:7071")],
        [HOST, ("x-forwarded-host", "scheduler.example"), ("origin", "https://scheduler.example")],
        [HOST, ("x-forwarded-host", "a.example, b.example:8443"), ("origin", "https://b.example:8443")],
        [HOST, ("x-original-host", "scheduler.example"), ("referer", "https://scheduler.example/x")],
    ],
)
def test_what_a_program_or_a_page_of_this_host_sends_is_let_through(headers: list[tuple[str, str]]) -> None:
    assert complaint(*headers) == ""


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([HOST, ("sec-fetch-site", "cross-site")], "Sec-Fetch-Site is 'cross-site', expected same-origin"),
        ([HOST, ("sec-fetch-site", "same-site")], "'same-site'"),
        ([HOST, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], "'cross-site'"),
        ([HOST, ("sec-fetch-site", "")], "Sec-Fetch-Site is ''"),
        ([HOST, ("sec-fetch-site", "cross-site"), ("origin", "http://localhost:7071")], "'cross-site'"),
        ([HOST, ("origin", "https://evil.example")], "Origin is 'https://evil.example', expected localhost:7071"),
        ([HOST, ("origin", "null")], "Origin is 'null'"),
        ([HOST, ("origin", "")], "Origin is ''"),
        ([HOST, ("origin", "http://localhost:3000")], "localhost:3000"),
        ([HOST, ("origin", "http://localhost")], "'http://localhost'"),
        ([HOST, ("origin", "http://localhost:7071.evil.example")], "evil.example"),
        ([HOST, ("origin", "http://localhost:7071@evil.example")], "evil.example"),
        ([HOST, ("origin", "http://localhost:7071"), ("origin", "http://evil.example")], "evil.example"),
        ([HOST, ("origin", "file://localhost:7071")], "file://"),
        ([HOST, ("origin", "http://[::1")], "Origin"),
        ([HOST, ("origin", "http://localhost:99999")], "Origin"),
        ([HOST, ("referer", "https://evil.example/localhost:7071")], "Referer is 'https://evil.example"),
        ([HOST, ("referer", "localhost:7071")], "Referer"),
        (
            [("host", "scheduler.example:8443"), ("origin", "https://scheduler.example")],
            "expected scheduler.",
        ),
        ([("host", "scheduler.example"), ("origin", "https://scheduler.example:8443")], ":8443"),
        ([("origin", "https://evil.example")], "evil.example"),
    ],
)
def test_what_a_page_of_another_site_sends_is_refused_with_the_header(
    headers: list[tuple[str, str]], found: str
) -> None:
    reported = complaint(*headers)

    assert reported.startswith("Cross-site requests are not allowed: ")
    assert found in reported


def test_without_a_host_header_the_address_of_the_server_counts() -> None:
    assert complaint(("origin", "https://app.azurewebsites.net"), server="app.azurewebsites.net") == ""
    assert "evil" in complaint(("origin", "https://evil.example"), server="app.azurewebsites.net")


def test_control_characters_of_a_header_are_escaped_in_the_sentence() -> None:
    assert "\x1b" not in complaint(HOST, ("origin", "http://\x1b[31m"))
