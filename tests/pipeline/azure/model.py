"""The state of a Functions app with a slot, or of a container app, and the commands that read and change it.

The state is a dictionary of JSON, so that a program can keep it in a file. `Hosting` runs what the state demands.
"""

from __future__ import annotations

import copy
from typing import Any, Protocol

from tests.pipeline.azure.commands import Command, CommandError, query

PRODUCTION, STAGING = "production", "staging"
APP = "contoso-scheduler"
JOBS = (f"{APP}-command", f"{APP}-backup")


class Hosting(Protocol):
    """Runs containers. A unit is a slot or a revision."""

    def has_image(self, image: str) -> bool:
        """Return whether the registry has this image. Raises CommandError if the registry is unavailable."""
        ...

    def run(self, unit: str, image: str, variables: dict[str, str]) -> None:
        """Run an image in a unit instead of what runs there."""
        ...

    def swap(self, image: str, variables: dict[str, str]) -> bool:
        """Start the image with the settings of production, then replace production by it. False: it does not start."""
        ...

    def stop(self, unit: str) -> None:
        """Stop what runs in a unit."""
        ...

    def route(self, unit: str) -> None:
        """Send all requests to a unit."""
        ...

    def url_of(self, unit: str) -> str:
        """Return the own address of a unit."""
        ...


def functions_state(image: str, production: dict[str, str] | None = None) -> dict[str, Any]:
    """Return an app with an image in production and in its slot."""
    settings = {"WEBSITES_PORT": "8080", "SCHEDULER_STORAGE__ACCOUNT": "secret-of-nobody"}
    slot = {"image": image, "settings": dict(settings)}
    return {
        "kind": "functions",
        "slots": {PRODUCTION: {"image": image, "settings": settings | (production or {})}, STAGING: slot},
        "sticky": [],
        "operation": None,
        "jobs": dict.fromkeys(JOBS, image),
    }


def container_state(
    image: str, variables: dict[str, str] | None = None, kind: str = "container-apps"
) -> dict[str, Any]:
    """Return an app with one revision. `kind`: of the platform."""
    revision = {"image": image, "variables": variables or {}, "active": True, "created": "2026-01-01T00:00:00"}
    return {
        "kind": kind,
        "mode": "Single" if kind == "embedded" else "Multiple",
        "revisions": {f"{APP}--first": revision},
        "template": {"image": image, "variables": variables or {}},
        "traffic": [{"latestRevision": True, "weight": 100}],
        "latest": f"{APP}--first",
        "count": 1,
        "provisioning": "Succeeded",
        "jobs": dict.fromkeys(JOBS, image),
    }


class AzureModel:
    """Executes commands on a state. Raises CommandError as `az` fails."""

    def __init__(self, state: dict[str, Any], hosting: Hosting) -> None:
        self.state = state
        self.hosting = hosting

    def start(self) -> None:
        """Run what the state demands."""
        if self.state["kind"] == "functions":
            for name, slot in reversed(self.state["slots"].items()):
                self.hosting.run(name, slot["image"], slot["settings"])
            self.hosting.route(PRODUCTION)
            return
        for name, revision in self.state["revisions"].items():
            self.hosting.run(name, revision["image"], revision["variables"])
            self.hosting.route(name)

    def execute(self, command: Command) -> Any:
        """Return what the command prints as JSON."""
        method = getattr(self, "_" + command.words.replace(" ", "_").replace("-", "_"), None)
        if method is None:
            raise CommandError(f"'{command.words}' is misspelled or not recognized by the system.")
        return query(command.get("--query"), method(command))

    # Registry

    def _acr_repository_show(self, command: Command) -> Any:
        name = f"{command.get('--name')}.azurecr.io/{command.get('--image')}"
        if not self.hosting.has_image(name):
            raise CommandError("MANIFEST_UNKNOWN: manifest unknown")
        return {"digest": command.get("--image").partition("@")[2]}

    # Functions

    def _slot(self, command: Command) -> dict[str, Any]:
        name = command.get("--slot") or PRODUCTION
        try:
            found: dict[str, Any] = self.state["slots"][name]
        except KeyError:
            raise CommandError(f"(ResourceNotFound) The slot {name} was not found.") from None
        return found

    def _functionapp_show(self, command: Command) -> Any:
        return {"name": APP, "inProgressOperationId": self.state["operation"]}

    def _functionapp_config_show(self, command: Command) -> Any:
        return {"linuxFxVersion": f"DOCKER|{self._slot(command)['image']}"}

    def _functionapp_config_appsettings_list(self, command: Command) -> Any:
        settings = self._slot(command)["settings"]
        sticky = self.state["sticky"]
        return [{"name": key, "value": value, "slotSetting": key in sticky} for key, value in settings.items()]

    def _functionapp_config_appsettings_set(self, command: Command) -> Any:
        slot, pairs = self._slot(command), command.options.get("--slot-settings", [])
        for name, _, value in (pair.partition("=") for pair in pairs):
            slot["settings"][name] = value
            self.state["sticky"] = sorted({*self.state["sticky"], name})
        self.hosting.run(command.get("--slot") or PRODUCTION, slot["image"], slot["settings"])

    def _functionapp_config_container_set(self, command: Command) -> Any:
        slot = self._slot(command)
        slot["image"] = command.get("--image")
        self.hosting.run(command.get("--slot") or PRODUCTION, slot["image"], slot["settings"])

    def _functionapp_deployment_slot_swap(self, command: Command) -> Any:
        slots, sticky = self.state["slots"], self.state["sticky"]
        new, old = copy.deepcopy(slots[STAGING]), copy.deepcopy(slots[PRODUCTION])
        for name in sticky:  # they stay with their slot
            _exchange(new["settings"], old["settings"], name)
        if not self.hosting.swap(new["image"], new["settings"]):
            raise CommandError("Cannot swap site slots because the 'staging' slot did not respond to http ping.")
        slots[PRODUCTION], slots[STAGING] = new, old
        self.hosting.run(STAGING, old["image"], old["settings"])

    # Container Apps

    def _containerapp_show(self, command: Command) -> Any:
        configuration = {"activeRevisionsMode": self.state["mode"], "ingress": {"traffic": self.state["traffic"]}}
        names = {"latestReadyRevisionName": self.state["latest"], "latestRevisionName": self.state["latest"]}
        return {
            "name": APP,
            "properties": {"provisioningState": self.state["provisioning"], "configuration": configuration, **names},
        }

    def _containerapp_revision_list(self, command: Command) -> Any:
        return [self._describe(name, one) for name, one in self.state["revisions"].items()]

    def _describe(self, name: str, revision: dict[str, Any]) -> Any:
        env = [{"name": key, "value": value} for key, value in revision["variables"].items()]
        properties = {
            "active": revision["active"],
            "createdTime": revision["created"],
            "fqdn": self.hosting.url_of(name),
            "template": {"containers": [{"image": revision["image"], "env": env}]},
        }
        return {"name": name, "properties": properties}

    def _containerapp_update(self, command: Command) -> Any:
        name = f"{APP}--{command.get('--revision-suffix')}"
        if name in self.state["revisions"]:
            raise CommandError(f"Revision with suffix {command.get('--revision-suffix')} already exists.")
        template = self.state["template"]
        template["image"] = command.get("--image")
        for key, _, value in (pair.partition("=") for pair in command.options.get("--set-env-vars", [])):
            template["variables"][key] = value
        for key in command.options.get("--remove-env-vars", []):
            template["variables"].pop(key, None)
        self.state["count"] += 1
        created = f"2026-01-01T00:00:{self.state['count']:02}"
        revision = {**copy.deepcopy(template), "active": True, "created": created}
        self.state["revisions"][name] = revision
        if self.state["mode"] == "Multiple":
            self.state["latest"] = name
        self.hosting.run(name, revision["image"], revision["variables"])
        if self.state["mode"] == "Multiple" and self.state["traffic"][0].get("latestRevision"):
            self.hosting.route(name)

    def replace_others(self, name: str) -> None:
        """In the mode `Single`: the newest revision is ready, so Azure stops the others."""
        if name != list(self.state["revisions"])[-1]:
            return
        self.state["latest"] = name
        self.hosting.route(name)
        for other, revision in self.state["revisions"].items():
            if revision["active"] and other != name:
                revision["active"] = False
                self.hosting.stop(other)

    def _containerapp_revision_activate(self, command: Command) -> Any:
        name, revision = self._revision(command.get("--revision"))
        if not revision["active"]:
            revision["active"] = True
            self.hosting.run(name, revision["image"], revision["variables"])

    def _containerapp_revision_deactivate(self, command: Command) -> Any:
        name, revision = self._revision(command.get("--revision"))
        revision["active"] = False
        self.hosting.stop(name)

    def _containerapp_ingress_traffic_set(self, command: Command) -> Any:
        name, _, weight = command.get("--revision-weight").partition("=")
        self._revision(name)
        self.state["traffic"] = [{"revisionName": name, "weight": int(weight)}]
        self.hosting.route(name)

    # Jobs

    def _containerapp_job_show(self, command: Command) -> Any:
        container = {"image": self._job_image(command)}
        return {"name": command.get("--name"), "properties": {"template": {"containers": [container]}}}

    def _containerapp_job_update(self, command: Command) -> Any:
        self._job_image(command)
        self.state["jobs"][command.get("--name")] = command.get("--image")

    def _job_image(self, command: Command) -> str:
        try:
            found: str = self.state["jobs"][command.get("--name")]
        except KeyError:
            raise CommandError(f"(ResourceNotFound) The job {command.get('--name')} was not found.") from None
        return found

    def _revision(self, name: str) -> tuple[str, dict[str, Any]]:
        if name not in self.state["revisions"]:
            raise CommandError(f"(RevisionNotFound) The revision {name} was not found.")
        return name, self.state["revisions"][name]


def _exchange(one: dict[str, str], other: dict[str, str], key: str) -> None:
    first, second = one.pop(key, None), other.pop(key, None)
    if second is not None:
        one[key] = second
    if first is not None:
        other[key] = first
