"""Where the generated resources belong: the component, its region, and who is notified.

Read by observability.generation.azure.documents. In an ARM template these are parameters, and in resources that are
applied they are environment variables: each is a document without content, whose id in the tool is its value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from observability.generation.core.document import GeneratedDocument, reference_id

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
