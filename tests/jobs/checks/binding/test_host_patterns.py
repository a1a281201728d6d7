"""Which hosts a rule means, however host and rule are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.binding.names import Recipient, normalize_host, parse_host_pattern


@pytest.mark.parametrize(
    ("pattern", "host", "port", "fits"),
    [
        ("api.internal", "api.internal", 443, True),
        ("api.internal", "API.Internal.", 443, True),
        ("Api.Internal.", "api.internal", 443, True),
        ("api.internal", "api.internal.evil.example", 443, False),
        ("api.internal", "xapi.internal", 443, False),
        ("api.internal:8443", "api.internal", 8443, True),
        ("api.internal:8443", "api.internal", 443, False),
        ("*.internal", "a.b.internal", 80, True),
        ("*.internal", "internal", 80, False),
        ("*.internal", "evilinternal", 80, False),
        ("*.internal", "a.internal.evil.example", 80, False),
        ("checkout-*.internal:443", "checkout-1.internal", 443, True),
        ("checkout-*.internal", "other.internal", 443, False),
        ("*", "evil.example", 443, True),
        ("*:443", "evil.example", 80, False),
        ("10.20.0.0/16", "10.20.3.4", 80, True),
        ("10.20.0.0/16", "10.21.3.4", 80, False),
        ("10.20.0.0/16", "0x0a140304", 80, True),
        ("10.20.0.0/16", "10.20.3.4.evil.example", 80, False),
        ("10.20.3.4", "10.20.772", 80, True),
        ("10.20.3.4:8080", "::ffff:10.20.3.4", 8080, True),
        ("127.0.0.1", "127.1", 80, True),
        ("127.0.0.1", "localhost", 80, False),
        ("::1", "[0:0::1]", 80, True),
        ("[::1]:8443", "::1", 8443, True),
        ("[::1]:8443", "::1", 80, False),
        ("fd00::/8", "fd12:3456::1", 80, True),
        ("straße.example", "xn--strae-oqa.example", 80, True),
        ("straße.example", "strasse.example", 80, False),
        ("*.bücher.example", "shop.xn--bcher-kva.example", 80, True),
    ],
)
def test_a_pattern_means_these_hosts(pattern: str, host: str, port: int, fits: bool) -> None:
    assert parse_host_pattern(pattern).matches(Recipient.from_host(host, port)) is fits


@pytest.mark.parametrize(
    "text",
    [
        "https://api.internal",
        "api.internal/path",
        "a b",
        "user@api.internal",
        "",
        "*internal",
        "api.*",
        "10.20.*",
        "*.*",
        "**",
        "api.internal:0",
        "api.internal:99999",
        "api.internal:x",
        "api..internal",
        "[::1",
    ],
)
def test_what_is_no_host_or_would_fit_strangers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|port"):
        parse_host_pattern(text)


@pytest.mark.property
@given(st.text(alphabet="abcz019-.*[]:/%@ ßI", max_size=30))
def test_no_text_but_the_star_alone_lets_a_stranger_have_it(text: str) -> None:
    try:
        pattern = parse_host_pattern(text)
    except ValueError:
        return
    stranger = Recipient.from_host("attacker.test", 443)
    assert not pattern.matches(stranger) or pattern.name == "*"


@pytest.mark.property
@given(st.text(alphabet="abcXYZ019-_.x", max_size=40))
def test_a_host_in_its_plain_form_stays_as_it_is(text: str) -> None:
    assert normalize_host(normalize_host(text)) == normalize_host(text)


@pytest.mark.property
@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_a_host(text: str) -> None:
    assert isinstance(normalize_host(text), str)
