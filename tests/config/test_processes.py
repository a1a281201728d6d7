"""The number of processes, as a setting and as an option of `serve`."""

from __future__ import annotations

import pytest

from config.settings.fields import parse_processes
from config.settings.model import Settings


@pytest.mark.parametrize(("text", "expected"), [("auto", "auto"), ("1", 1), ("64", 64), (8, 8)])
def test_processes_are_a_number_or_auto(text: object, expected: object) -> None:
    assert parse_processes(text) == Settings.model_validate({"processes": text}).processes == expected


@pytest.mark.parametrize("text", ["0", "65", "-1", "1.5", "many", "", "٣", True, None])
def test_another_value_gets_one_message_with_what_is_expected(text: object) -> None:
    with pytest.raises(ValueError, match="expected auto or a number from 1 to 64, got"):
        parse_processes(text)
