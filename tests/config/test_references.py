"""The setting `self_checks.references`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from config.settings.model import SelfCheckSettings


def test_references_are_a_list_or_a_text_with_commas() -> None:
    settings = SelfCheckSettings.model_validate({"references": "https://a.example/x, tcp://10.0.0.4:443"})
    assert settings.references == ("https://a.example/x", "tcp://10.0.0.4:443")
    assert SelfCheckSettings.model_validate({"references": ["tcp://[fd00::1]:22"]}).references == (
        "tcp://[fd00::1]:22",
    )


@pytest.mark.parametrize(
    "address",
    [
        "a.example",
        "tcp://a.example",
        "tcp://a.example:0",
        "tcp://a:70000",
        "ftp://a.example",
        "https://",
        "https://u:p@a.example",
    ],
)
def test_any_other_address_is_rejected_without_its_secrets(address: str) -> None:
    with pytest.raises(
        ValidationError, match="is not a reference: write https://host/path or tcp://host:443"
    ) as caught:
        SelfCheckSettings.model_validate({"references": [address]})
    assert "u:p" not in str(caught.value)
