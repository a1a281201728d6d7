"""The services that the program depends on are references of its self-checks."""

from __future__ import annotations

from typing import Any

import pytest

from config.check_rules import list_own_services
from config.settings.model import Settings

KEY = "a2V5"
NAMED = f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={KEY};EndpointSuffix=core.windows.net"
AZURITE = (
    f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1"
)
INSIGHTS = "InstrumentationKey=1;IngestionEndpoint=https://westeurope-1.in.applicationinsights.azure.com/"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ()),
        (
            {"store": "azure", "storage": {"connection_string": NAMED}},
            ("https://shop.table.core.windows.net", "https://shop.queue.core.windows.net"),
        ),
        (
            {"store": "azure", "storage": {"account_name": "shop"}},
            ("https://shop.table.core.windows.net", "https://shop.queue.core.windows.net"),
        ),
        ({"store": "azure", "storage": {"connection_string": AZURITE}}, ()),
        ({"storage": {"account_name": "shop"}}, ()),
        ({"key_vault_url": "https://shop.vault.azure.net/"}, ("https://shop.vault.azure.net",)),
        (
            {"application_insights": {"connection_string": INSIGHTS}},
            ("https://westeurope-1.in.applicationinsights.azure.com",),
        ),
        ({"datadog": {"api_key": "k", "site": "datadoghq.eu"}}, ("https://api.datadoghq.eu",)),
        ({"datadog": {"api_key": "k", "url": "http://127.0.0.1:8126"}}, ()),
        ({"datadog": {"site": "datadoghq.eu"}}, ()),
    ],
)
def test_services_of_the_settings(settings: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert list_own_services(Settings.model_validate(settings)) == expected
