"""Rotas in job files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.incidents.rotas import OnCallTable, RotaDefinition

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
ROTA: dict[str, Any] = {"file": "rota.ics", "people": {"Anna": "phone"}, "otherwise": ["chat"]}


def test_a_definition_has_the_channels_of_its_people_and_those_without_a_person() -> None:
    definition = RotaDefinition.model_validate({**ROTA, "timezone": "Europe/Berlin"})
    rota = definition.make_rota(OnCallTable((NOW, NOW.replace(hour=10)), (("Anna",), ()), NOW.replace(hour=12)))

    assert rota.on_call_at(NOW).channels == ("phone",)
    assert rota.on_call_at(NOW.replace(hour=10)).channels == ("chat",)
    assert definition.make_rota(None).on_call_at(NOW).channels == ("chat",)
    assert definition.zone.name == "Europe/Berlin"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"url": {"secret": "rota"}}, "one of file and url is required"),
        ({"file": None}, "one of file and url is required"),
        ({"otherwise": []}, "otherwise: is empty"),
        ({"people": {"Anna": []}}, "people.Anna: is empty"),
        ({"people": {}}, "people"),
        ({"timezone": "Berlin"}, "did you mean Europe/Berlin"),
    ],
)
def test_an_invalid_rota_is_refused_with_the_remedy(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RotaDefinition.model_validate({**ROTA, **keys})
