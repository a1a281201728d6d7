"""The services that the product reports to or queries, played on loopback and proven against their real clients.

    async with ApplicationInsightsIngestion() as insights:      # see application_insights
        insights.connection_string, insights.environ, insights.items, insights.by_type("AvailabilityData")
    async with DatadogIntake() as datadog:                      # see datadog_intake
        datadog.url, datadog.api_key, datadog.series, datadog.logs, datadog.checks, datadog.refused
    async with OtlpCollector() as collector:                    # see otlp_collector
        collector.url, collector.spans, collector.records, collector.sum_of("scheduler.job.runs")
    async with KeyVaultServer() as vault:                       # see azure_identity
        vault.set("name", "value"), vault.url, vault.client_options, vault.calls("name")
    async with ManagedIdentityServer() as identity:             # see azure_identity
        identity.environ, identity.calls

All of them (see service.Service):

    service.refuse_with(503)                                    # from now on
    service.refuse_with(429, times=2, headers={"Retry-After": "1"})
    service.recover()
    service.down = True                                         # every connection is reset
"""

from __future__ import annotations

from tests.parts.application_insights import ApplicationInsightsIngestion
from tests.parts.azure_identity import FakeCredential, KeyVaultServer, ManagedIdentityServer
from tests.parts.datadog_intake import DatadogIntake
from tests.parts.otlp_collector import OtlpCollector

__all__ = [
    "ApplicationInsightsIngestion",
    "DatadogIntake",
    "FakeCredential",
    "KeyVaultServer",
    "ManagedIdentityServer",
    "OtlpCollector",
]
