"""The tags that limit a principal."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from scheduler.identity.principal import TAG_LIMIT_PATTERN, parse_tag_limits


@pytest.mark.parametrize("text", ["team", ":a", "a:", "a: b", "\x1da:b", "a:\x1db", "a:b\n", "a\x0bb:c", "\xa0a:b"])
def test_a_text_that_is_not_a_tag_is_rejected_by_the_code_and_by_the_schema(text: str) -> None:
    with pytest.raises(ValueError, match="is not a tag with a value"):
        parse_tag_limits([text])
    with pytest.raises(ValidationError):
        TypeAdapter(Annotated[str, Field(pattern=TAG_LIMIT_PATTERN)]).validate_python(text)


@pytest.mark.parametrize(
    ("text", "tag"), [("team:payments", ("team", "payments")), ("a=b:c", ("a", "b:c")), ("Ü:ß 1", ("Ü", "ß 1"))]
)
def test_a_tag_has_a_key_and_a_value(text: str, tag: tuple[str, str]) -> None:
    assert parse_tag_limits([text]) == (tag,)
    assert TypeAdapter(Annotated[str, Field(pattern=TAG_LIMIT_PATTERN)]).validate_python(text) == text
