"""The start of a target's answer as one line."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs.answer_text import MAX_ANSWER_CHARACTERS, format_answer

NGINX = "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n<center>nginx</center>"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("", ""),
        ("  upstream\n\tfailed  ", "upstream failed"),
        ('{"error": "a < b and c > d"}', '{"error": "a < b and c > d"}'),
        (NGINX, "503 Service Temporarily Unavailable nginx"),
        ("<!DOCTYPE html><style>p {color: red}</style><script>alert(1)</script><p>Oops &amp; sorry", "Oops & sorry"),
        ("<html><!-- build 7 --><body>Gone<script>var a = ", "Gone"),
        ("<html><body>Bad gateway<hr class='lo", "Bad gateway"),
        ("<html>&lt;script&gt; &amp;lt;", "<script> &lt;"),
        ("<html>&#115;ecret", "&#115;ecret"),
        ("a\x1b[31m\u202eb", "a\\x1b[31m\\u202eb"),
    ],
)
def test_an_answer_is_one_readable_line(body: str, shown: str) -> None:
    assert format_answer(body) == shown


@given(st.text() | st.text(alphabet="<>!-/&;a \n").map(lambda text: f"<html>{text}"))
def test_any_answer_is_short_and_printable(body: str) -> None:
    shown = format_answer(body)
    assert len(shown) <= MAX_ANSWER_CHARACTERS
    assert shown.isprintable()


@pytest.mark.parametrize("part", ["<script", "<!--", "<", "&", "<style>", "<script></"])
def test_an_answer_that_is_made_to_be_slow_is_read_at_once(part: str) -> None:
    began = time.process_time()
    format_answer("<html>" + part * 10_000)
    assert time.process_time() - began < 0.5
