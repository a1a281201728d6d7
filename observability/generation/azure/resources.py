"""What the generated resources of Azure Monitor share: where they belong, their names and tags, and alert rules. Pure.

Places are the component, its region, and who is notified. In an ARM template these are parameters, and in resources
that are applied they are environment variables: each is a document without content, whose id in the tool is its value.
Names are the same for the same job set.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from observability.generation.document import GeneratedDocument, Json, reference_id
from observability.generation.portfolio import Portfolio, PortfolioJob

COMPONENT_VARIABLE: Final = "AZURE_APPLICATION_INSIGHTS_ID"
ACTION_GROUPS_VARIABLE: Final = "AZURE_ACTION_GROUP_IDS"

COMPONENT_KIND: Final = "component"
ACTION_GROUPS_KIND: Final = "actionGroups"


def make_place_value(variable: str) -> dict[str, str]:
    """Return the value of the document that stands for a variable."""
    return {"environmentVariable": variable}


PLACE_DOCUMENTS: Final = (
    GeneratedDocument("place/component.json", make_place_value(COMPONENT_VARIABLE), COMPONENT_KIND),
    GeneratedDocument("place/action-groups.json", make_place_value(ACTION_GROUPS_VARIABLE), ACTION_GROUPS_KIND),
)


@dataclass(frozen=True, slots=True)
class AzurePlace:
    """Resource ids and a region, or what stands for them: expressions of a template, references to documents.

    `location`: None where the tool sets it. `action_groups`: a list of ids, or the expression of one.
    """

    component: str
    location: str | None = None
    action_groups: tuple[str, ...] | str = ()
    is_enabled: bool | str = True

    @property
    def location_property(self) -> dict[str, str]:
        return {} if self.location is None else {"location": self.location}


TEMPLATE_PLACE = AzurePlace(
    component="[parameters('componentId')]",
    location="[parameters('location')]",
    action_groups="[parameters('actionGroupIds')]",
    is_enabled="[parameters('enabled')]",
)

APPLIED_PLACE = AzurePlace(
    component=reference_id(PLACE_DOCUMENTS[0].path), action_groups=(reference_id(PLACE_DOCUMENTS[1].path),)
)


GENERATOR_TAG = "generated-by"
GENERATOR = "scheduler"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:scheduler:generated")

MAX_TAGS = 20
"""Azure allows 50; the rest is for the people who own the resource group."""
_MAX_TAG_NAME, _MAX_TAG_VALUE = 128, 256
_FORBIDDEN_IN_TAG_NAMES = re.compile(r"[<>%&\\?/\x00-\x1f]")
_MAX_SLUG = 60


def make_slug(text: str) -> str:
    """Return the text as a part of a resource name: lower case, with a hash if that loses something."""
    slug = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:_MAX_SLUG]
    if slug == text:
        return slug
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{slug}-{digest}" if slug else digest


def make_rule_name(portfolio: Portfolio, key: str) -> str:
    """Return the name of a rule. `key`: what distinguishes it from the other rules of the portfolio."""
    return f"{make_slug(portfolio.service)}-{make_slug(portfolio.environment)}-{key}"


def make_guid(portfolio: Portfolio, key: str) -> str:
    """Return a name where Azure demands a GUID."""
    return str(uuid.uuid5(_NAMESPACE, "\n".join((portfolio.service, portfolio.environment, key))))


def make_tags(portfolio: Portfolio, jobs: Sequence[PortfolioJob] = ()) -> dict[str, str]:
    """Return the tags of a resource: who generated it, and the tags that all of its jobs have in common."""
    shared = {key: value for key, value in _find_shared_tags(jobs).items() if _is_valid_tag(key, value)}
    own = {GENERATOR_TAG: GENERATOR, "service": portfolio.service, "environment": portfolio.environment}
    return {**dict(sorted(shared.items())[:MAX_TAGS]), **own}


def _find_shared_tags(jobs: Sequence[PortfolioJob]) -> Mapping[str, str]:
    if not jobs:
        return {}
    return {key: value for key, value in jobs[0].tags.items() if all(job.tags.get(key) == value for job in jobs)}


def _is_valid_tag(name: str, value: str) -> bool:
    return 0 < len(name) <= _MAX_TAG_NAME and len(value) <= _MAX_TAG_VALUE and not _FORBIDDEN_IN_TAG_NAMES.search(name)


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
