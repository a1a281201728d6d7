"""Placeholders of other programs, which nothing fills in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jobs.warnings.helpers import warned


@pytest.mark.parametrize("placeholder", ["${PATH}", "{{ path }}", "%PATH_NAME%", "$(PATH)", "#{path}#"])
def test_a_placeholder_in_the_path_of_a_url_is_sent_as_it_is(placeholder: str) -> None:
    (warning,) = warned(check={"url": f"https://a.example/{placeholder}/x"})
    assert warning.startswith(f"check.url: contains the placeholder {placeholder}, which is not replaced but sent")
    assert "or reference a secret: {secret: NAME}" in warning


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"headers": {"Authorization": "Bearer ${TOKEN}"}}, "check.headers.Authorization"),
        ({"query": {"a": "x${A}y"}}, "check.query.a"),
        ({"method": "POST", "body": {"text": "<a>${A}</a>"}}, "check.body.text"),
        ({"method": "POST", "body": {"form": {"a": "${A}"}}}, "check.body.form.a"),
        ({"method": "POST", "body": {"json": {"a": ["b", {"c": "${A}"}]}}}, "check.body.json.a[1].c"),
    ],
)
def test_a_placeholder_anywhere_in_a_request_is_reported(keys: dict[str, Any], where: str) -> None:
    (warning,) = warned(check={"url": "https://a.example/", **keys})
    assert warning.startswith(f"{where}: contains the placeholder ")


@pytest.mark.parametrize("text", ["costs $5", "{{ mustache }}", "%PATH%", "$(jquery)", "${", "$$", "${1}"])
def test_what_may_be_the_text_itself_has_no_warning(text: str) -> None:
    check = {"url": "https://a.example/", "method": "POST", "body": {"text": text}}
    assert warned(check=check) == []


def test_steps_have_placeholders_of_their_own() -> None:
    steps = [
        {"name": "a", "url": "https://a.example/", "save": {"id": {"json": "$.id"}}},
        {"name": "b", "url": "/${id}"},
    ]
    assert warned(check={"kind": "steps", "steps": steps}) == []
