"""The state of a container app and its revisions, from what the Azure CLI prints of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from delivery.errors import DeliveryError


@dataclass(frozen=True)
class AppState:
    """`mode`: of revisions, in lower case. `traffic`: revisions with their percent; an empty name is the latest."""

    mode: str
    provisioning: str
    traffic: tuple[tuple[str, int], ...]
    latest: str


@dataclass(frozen=True)
class Revision:
    """`plans`: its timer is enabled. `prefix`: of its tables and queues; empty: none."""

    name: str
    image: str
    url: str
    created: str
    is_active: bool
    plans: bool
    prefix: str


def parse_app(values: Mapping[str, Any]) -> AppState:
    """Parse the output of `az containerapp show`."""
    properties = values["properties"]
    configuration = properties["configuration"]
    traffic = (configuration.get("ingress") or {}).get("traffic") or []
    return AppState(
        mode=str(configuration.get("activeRevisionsMode") or "single").lower(),
        provisioning=str(properties.get("provisioningState") or "Succeeded"),
        traffic=tuple((str(one.get("revisionName") or ""), int(one.get("weight") or 0)) for one in traffic),
        latest=str(properties.get("latestReadyRevisionName") or properties.get("latestRevisionName") or ""),
    )


def parse_revision(values: Mapping[str, Any], disabled_variable: str, prefix_variable: str) -> Revision:
    """Parse an element of the output of `az containerapp revision list`."""
    properties = values["properties"]
    container = properties["template"]["containers"][0]
    entries = container.get("env") or []
    if any(one["name"] == prefix_variable and "secretRef" in one for one in entries):
        raise DeliveryError(
            f"{values['name']}: {prefix_variable} is a reference to a secret; a new revision needs a value."
        )
    variables = {one["name"].replace(".", "_"): str(one.get("value") or "") for one in entries}
    fqdn = str(properties.get("fqdn") or "")
    return Revision(
        name=str(values["name"]),
        image=str(container["image"]),
        url=fqdn if "://" in fqdn or not fqdn else f"https://{fqdn}",
        created=str(properties.get("createdTime") or ""),
        is_active=bool(properties["active"]),
        plans=variables.get(disabled_variable, "false").lower() not in ("true", "1"),
        prefix=variables.get(prefix_variable, ""),
    )


def serving_revision(app: AppState, revisions: Sequence[Revision]) -> Revision:
    """Return the revision with most requests. Raises DeliveryError."""
    heaviest = max(app.traffic, key=lambda one: one[1], default=("", 0))[0]
    name = heaviest or app.latest
    for revision in revisions:
        if revision.name == name:
            return revision
    raise DeliveryError(f"the revision in service, {name}, is not in the list of revisions: is the app created?")
