"""Where the generated resources belong: the component, its region, and who is notified.

Read by observability.generation.azure.documents; in an ARM template these are parameters.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AzurePlace:
    """Resource ids and a region, or the expressions of a template that stand for them.

    `action_groups`: a list of ids, or the expression of one.
    """

    component: str
    location: str
    action_groups: tuple[str, ...] | str = ()
    is_enabled: bool | str = True


TEMPLATE_PLACE = AzurePlace(
    component="[parameters('componentId')]",
    location="[parameters('location')]",
    action_groups="[parameters('actionGroupIds')]",
    is_enabled="[parameters('enabled')]",
)
