"""A scheduled query rule as a resource of Azure Monitor. Pure. Called by the other modules of this package and by
observability.generation.azure.documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from observability.generation.azure.place import AzurePlace
from observability.generation.core.document import Json

RULE_TYPE: Final = "Microsoft.Insights/scheduledQueryRules"
RULE_API_VERSION: Final = "2023-12-01"

CRITICAL, ERROR, WARNING, INFORMATIONAL = range(4)
"""Severities of Azure Monitor."""


@dataclass(frozen=True, slots=True)
class AlertWindow:
    """What a rule looks back at, and how often. `kql`: a timespan; `iso`, `every`: ISO 8601, values that Azure allows.

    Azure evaluates at most two days, whatever the query demands.
    """

    kql: str
    iso: str
    seconds: float
    every: str


QUARTER = AlertWindow("15m", "PT15M", 900.0, "PT5M")
HOUR = AlertWindow("1h", "PT1H", 3600.0, "PT5M")
SIX_HOURS = AlertWindow("6h", "PT6H", 21600.0, "PT15M")
DAY = AlertWindow("1d", "P1D", 86400.0, "PT1H")
TWO_DAYS = AlertWindow("2d", "P2D", 172800.0, "PT1H")


@dataclass(frozen=True, slots=True)
class LogAlertRule:
    """A rule fires for each row of its query. `name`: of the resource.

    `dimension`: the column that splits it into alerts, such as the job's name; empty: one alert.
    """

    name: str
    title: str
    description: str
    severity: int
    window: AlertWindow
    query: str
    dimension: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def make_body(self) -> Json:
        """Return the resource without its place. Defaults of the service are explicit: they would appear as drift."""
        dimensions = [{"name": self.dimension, "operator": "Include", "values": ["*"]}] if self.dimension else []
        return {
            "kind": "LogAlert",
            "tags": self.tags,
            "properties": {
                "displayName": self.title,
                "description": self.description,
                "severity": self.severity,
                "evaluationFrequency": self.window.every,
                "windowSize": self.window.iso,
                "autoMitigate": True,
                "checkWorkspaceAlertsStorageConfigured": False,
                "skipQueryValidation": False,
                "criteria": {
                    "allOf": [
                        {
                            "query": self.query,
                            "timeAggregation": "Count",
                            "operator": "GreaterThan",
                            "threshold": 0,
                            "dimensions": dimensions,
                            "failingPeriods": {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1},
                        }
                    ]
                },
            },
        }


def complete_rule(body: Json, place: AzurePlace) -> Json:
    """Return the resource with its place."""
    groups = place.action_groups if isinstance(place.action_groups, str) else list(place.action_groups)
    properties = {
        **body["properties"],
        "enabled": place.is_enabled,
        "scopes": [place.component],
        "actions": {"actionGroups": groups},
    }
    return {**body, **place.location_property, "properties": properties}
