from __future__ import annotations

import base64
import html
import itertools
import json
import re
import shlex
import threading
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.redaction import Redactor

_TOKEN = "cAnArYt0k3nQ7vX2mZ9pL4"
_AWKWARD = 'p@ss wörd/+&="\\\n'


def redactor(*values: str) -> Redactor:
    made = Redactor()
    for value in values:
        made.add_permanent(value)
    return made


@pytest.mark.parametrize(
    "form",
    [
        _AWKWARD,
        quote(_AWKWARD),
        quote(_AWKWARD, safe=""),
        quote_plus(_AWKWARD),
        re.sub("%..", lambda escape: escape[0].lower(), quote(_AWKWARD, safe="")),
        base64.b64encode(_AWKWARD.encode()).decode(),
        base64.urlsafe_b64encode(_AWKWARD.encode()).decode().rstrip("="),
        json.dumps(_AWKWARD)[1:-1],
        json.dumps(_AWKWARD, ensure_ascii=False)[1:-1],
        "p@ss w\\u00F6rd/\\u002B\\u0026=\\u0022\\\\\\n",  # .NET's JSON
        html.escape(_AWKWARD),
        repr(_AWKWARD)[1:-1],
        _AWKWARD.encode().hex(),
        _AWKWARD.encode().hex().upper(),
        _AWKWARD[::-1],
        quote(base64.b64encode(_AWKWARD.encode()).decode(), safe=""),
        quote(quote(_AWKWARD, safe=""), safe=""),
        quote_plus(quote_plus(_AWKWARD)),
        base64.b64encode(quote(_AWKWARD, safe="").encode()).decode().rstrip("="),
        quote(_AWKWARD, safe="").encode().hex(),
        _AWKWARD.encode().decode("latin-1"),
        _AWKWARD.encode("ascii", "ignore").decode(),
        _AWKWARD.strip(),
        _AWKWARD.upper(),
        _AWKWARD.lower(),
        json.dumps(json.dumps(_AWKWARD))[3:-3],
        json.dumps(json.dumps(_AWKWARD)[1:-1])[1:-1],
        repr(_AWKWARD.encode())[2:-1],
        "".join(f"%{byte:02X}" for byte in _AWKWARD.encode()),
        "".join(f"%{byte:02x}" for byte in _AWKWARD.encode()),
        _AWKWARD.encode().hex(" "),
        _AWKWARD.encode().hex(":").upper(),
        "".join(each if each.isascii() and each.isalnum() else f"&#{ord(each)};" for each in _AWKWARD),
        "".join(each if each.isascii() and each.isalnum() else f"&#x{ord(each):x};" for each in _AWKWARD),
    ],
)
def test_a_secret_is_found_in_every_form_it_may_take(form: str) -> None:
    shown = redactor(_AWKWARD).redact(f"<{form}>")
    assert "***" in shown
    assert form not in shown


def test_a_text_without_secrets_stays_the_same() -> None:
    assert redactor("swordfish").redact("nothing to see") == "nothing to see"


def test_of_two_secrets_that_begin_alike_the_longer_one_is_accepted_out_whole() -> None:
    assert redactor("swordfish", "swordfish-and-more").redact("a swordfish-and-more b swordfish") == "a *** b ***"


@pytest.mark.parametrize("value", ["", "a", "abc"])
def test_a_value_that_is_too_short_is_not_registered(value: str) -> None:
    assert redactor(value).redact("abc") == "abc"


def test_a_value_of_four_characters_is_registered() -> None:
    assert redactor("abcd").redact("abcd") == "***"


def test_a_value_that_is_no_valid_unicode_is_accepted_out_too() -> None:
    assert redactor("odd\udcffsecret").redact("an odd\udcffsecret here") == "an *** here"


@pytest.mark.parametrize("user", ["", "u", "us", "use", "user"])
@pytest.mark.parametrize("alphabet", [None, b"-_"])
def test_a_secret_is_found_inside_of_what_is_encoded_with_others(user: str, alphabet: bytes | None) -> None:
    text = f"{user}:swordfish?>~?>:more".encode()
    shown = redactor("swordfish?>~?>").redact(f"Basic {base64.b64encode(text, alphabet).decode()}!")
    start, hidden, _ = shown.removeprefix("Basic ").partition("***")
    assert hidden
    assert base64.b64decode(start[: len(start) // 4 * 4], alphabet) in f"{user}:".encode()


_PEM = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----\n"
)


@pytest.mark.parametrize(
    "form",
    [
        _PEM,
        _PEM.replace("\n", "\r\n"),
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7",
        "MIIEvQIBADANBgkqhkiG9w0BAQ",
        "EFAASCBKcwggSjAgEAAoIBAQC7",
        "MIIEvQIBADANBgkqhkiG9w0BAQ"[::-1],
        json.dumps(_PEM),
    ],
)
def test_a_secret_of_several_lines_is_found_as_each_of_them(form: str) -> None:
    shown = redactor(_PEM).redact(f"<{form}>")
    assert "MIIE" not in shown
    assert "AQC7" not in shown
    assert "EIIM" not in shown


def test_what_every_pem_file_reports_is_no_secret() -> None:
    assert redactor(_PEM).redact("-----BEGIN PRIVATE KEY----- is missing") == "-----BEGIN PRIVATE KEY----- is missing"


@pytest.mark.parametrize("width", [64, 76])
def test_a_secret_is_found_in_base64_of_several_lines(width: int) -> None:
    secret = "".join(f"part-{number:03d}/" for number in range(20))
    encoded = base64.b64encode(secret.encode()).decode()
    lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
    shown = redactor(secret).redact("\n".join(lines))
    assert not any(line[:16] in shown for line in lines if len(line) >= 16)


def test_of_many_values_each_one_is_found_in_a_short_text() -> None:
    values = [f"value-number-{number}" for number in range(200)]
    made = redactor(*values)
    assert {made.redact(f"<{value}>") for value in values} == {"<***>"}
    assert made.redact("value-number") == "value-number"


@given(st.binary(max_size=8), st.text(min_size=6), st.binary(max_size=8))
def test_no_secret_survives_in_base64(before: bytes, secret: str, after: bytes) -> None:
    raw = secret.encode("utf-8", "replace")
    encoded = base64.b64encode(before + raw + after).decode()
    shown = redactor(secret).redact(encoded)
    assert encoded[(len(before) * 8 + 5) // 6 : (len(before) + len(raw)) * 8 // 6] not in shown


_TEXT = st.characters(exclude_characters="*")


@given(st.text(_TEXT, min_size=4), st.text(_TEXT), st.text(_TEXT))
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    assert secret not in redactor(secret).redact(before + secret + after)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token=correct-ho", "token=***"),
        ("token=correct-horse", "token=***"),
        ("token=corr", "token=***"),
        ("token=cor", "token=cor"),
        ("token=correct-horse&again=correct-h", "token=***&again=***"),
        ("token=" + base64.b64encode(b"id:correct-horse").decode()[:14], "token=aWQ***"),
        ("token=" + b"correct-horse".hex()[:9], "token=***"),
        ("token=" + "correct-horse"[:3:-1], "token=***"),
        ("token=none", "token=none"),
        ("", ""),
    ],
)
def test_the_begin_of_a_secret_is_found_at_the_end_of_a_text_that_was_cut(text: str, shown: str) -> None:
    assert redactor("correct-horse").redact(text, cut=True) == shown


def test_the_begin_of_a_secret_stays_where_nothing_was_cut() -> None:
    assert redactor("done-and-dusted").redact("done") == "done"


def test_a_cut_through_a_character_is_one_through_the_secret() -> None:
    text = "token=pässwörd".encode()[:-3].decode("utf-8", "replace")
    assert redactor("pässwörd").redact(text, cut=True) == "token=***"


def test_a_cut_within_a_secret_that_holds_another_one_shows_neither() -> None:
    assert redactor("first-second-third", "second").redact("<first-second-th", cut=True) == "<***"
    assert redactor("pass-abcd", "abcdefgh").redact("<pass-abcd", cut=True) == "<***"


@given(st.text(_TEXT, min_size=5), st.text(_TEXT), st.data())
def test_no_begin_of_a_secret_survives_a_cut(secret: str, before: str, data: st.DataObject) -> None:
    size = data.draw(st.integers(4, len(secret)))
    shown = redactor(secret).redact(before + secret[:size], cut=True)
    assert secret[:size] not in shown


def test_values_may_be_registered_while_other_threads_redact() -> None:
    made = redactor("secret-0")
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            if made.redact("x secret-0 y") != "x *** y":
                wrong.append("leak")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    for number in range(200):
        made.add_permanent(f"secret-{number}")
    done.set()
    for thread in readers:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("program", "form"), [("SQL", "it''s a secret"), ("a shell", shlex.quote("it's a secret")[1:-1])]
)
def test_a_quote_is_found_as_other_programs_write_it(program: str, form: str) -> None:
    assert redactor("it's a secret").redact(f"near '{form}'") == "near '***'"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n    ", " \n\t", "\\n", "\\r\\n  ", "\\\\n"])
@pytest.mark.parametrize(
    "form", ["cAnArYt0k3nQ7vX2mZ9pL4", base64.b64encode(b"Basic cAnArYt0k3nQ7vX2mZ9pL4 ").decode()]
)
def test_a_secret_that_is_broken_over_lines_is_found_wherever_they_end(form: str, end: str) -> None:
    for width in range(1, len(form)):
        lines = end.join(form[at : at + width] for at in range(0, len(form), width))

        shown = redactor(_TOKEN).redact(f"one{end}: {lines};{end}two")

        assert "***" in shown
        assert shown.startswith(f"one{end}: ")
        assert shown.endswith(f";{end}two")
        assert not re.search("cAnArY|0k3nQ7v|Y0FuQXJ", "".join(shown.split()))


def test_lines_without_a_secret_stay_as_they_are() -> None:
    text = "a\n b\r\n\nc\n"
    assert redactor("abcdefgh").redact(text) == text


@pytest.mark.parametrize(
    "text", [" " * 300_000 + "\n", "\\" * 300_000 + "n", "\n " * 100_000, "cAnA\n" + " " * 300_000]
)
def test_long_runs_of_what_ends_lines_take_no_time(text: str) -> None:
    assert redactor(_TOKEN).redact(text) == text


def test_short_secrets_are_not_searched_in_another_case_or_across_lines() -> None:
    assert redactor("Monday").redact("on monday: MON\nday, Monday") == "on monday: MON\nday, ***"


def test_values_are_added_to_those_that_exist_as_if_all_came_at_once() -> None:
    values = ["c2VjcmV0LXZhbHVl", "secret-value", "secret-value-2", "c2VjcmV0LXZhbHVlLTI", "terces"]
    texts = [
        form for value in values for form in (value, value[::-1], base64.b64encode(f"x {value} y".encode()).decode())
    ]

    shown = {tuple(map(redactor(*order).redact, texts)) for order in itertools.permutations(values)}

    assert len(shown) == 1
    assert not any("secret" in text or "c2Vj" in text for text in shown.pop())


def test_what_is_registered_is_known() -> None:
    made = redactor("swordfish")
    assert (made.is_registered("swordfish"), made.is_registered("swordfishes"), made.is_registered("abc")) == (
        True,
        False,
        True,
    )
