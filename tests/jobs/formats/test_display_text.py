"""Texts that people read: control characters are refused in a job, and escaped elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.model_base import escape_control_characters, refuse_control_characters
from jobs.problems import validation_findings

CONTROLS = [*map(chr, [*range(9), 11, 12, *range(14, 32), *range(0x7F, 0xA0), 0x2028, 0x2029]), "\r"]
DIRECTIONS = [*map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])]
HONEST = [
    "مرحبا بالعالم",
    "שלום עולם",
    "می\u200cخواهم",  # noqa: RUF001
    "price \u200e(net)\u200f",
    "👩\u200d💻 on call",
    "two\nlines\tand a tab",
    "of Windows\r\nlines",
    "Ærøskøbing, 東京",
]


def problem(**keys: Any) -> str:
    try:
        JobDefinition.model_validate({"name": "a", "check": {"kind": "http", "url": "http://a.test"}, **keys})
    except ValidationError as error:
        (finding,) = validation_findings(error.errors(include_url=False), JobDefinition)
        return f"{'.'.join(map(str, finding.path))}: {finding.message}"
    return ""


@pytest.mark.parametrize("text", HONEST)
def test_letters_of_all_scripts_and_their_marks_are_allowed(text: str) -> None:
    assert refuse_control_characters(text) == text
    assert escape_control_characters(text) == text
    assert problem(description=text, tags={text: text}) == ""


@pytest.mark.parametrize("character", CONTROLS + DIRECTIONS, ids=lambda one: f"U+{ord(one):04X}")
def test_a_control_character_is_refused_and_escaped(character: str) -> None:
    with pytest.raises(ValueError, match=f"contains U\\+{ord(character):04X} at character 2"):
        refuse_control_characters(f"a{character}b")
    assert escape_control_characters(f"a{character}b").isprintable()


def test_a_description_with_an_override_reports_what_and_where() -> None:
    assert problem(description="pay\u202elaog") == (
        "description: contains U+202E at character 4, which changes the direction of text: remove it "
        "(letters of all scripts, tabs and line breaks are allowed)"
    )


def test_a_tag_with_an_escape_reports_which() -> None:
    assert problem(tags={"team": "\x1b[31mred"}) == (
        "tags: the value of 'team' contains U+001B at character 1, which is a control character: remove it "
        "(letters of all scripts, tabs and line breaks are allowed)"
    )
    assert "tags: the name of" in problem(tags={"te\u2067am": "x"})


def test_the_name_of_a_step_is_such_a_text() -> None:
    step = {"name": "log\x1b[2Jin", "url": "http://a.test"}

    assert "check.steps[0].name" in problem(check={"kind": "steps", "steps": [step]}).replace(".0.", "[0].")


@pytest.mark.property
@given(st.text())
def test_escaped_texts_are_accepted_and_stay_as_they_are(text: str) -> None:
    escaped = escape_control_characters(text)

    assert refuse_control_characters(escaped) == escaped == escape_control_characters(escaped)
