"""The manifests that kustomize makes of an overlay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from tests.infra.images import read_image_variables
from tests.infra.programs import run_program
from tests.project import ROOT

FOLDER = ROOT / "infra" / "kubernetes"
OVERLAYS = sorted(path.parent.name for path in (FOLDER / "overlays").glob("*/kustomization.yaml"))
POD_VALUES = {"status.podIP": "10.244.0.7", "metadata.namespace": "scheduler"}
"""Of the downward API, in a running pod."""


@cache
def build_overlay(name: str) -> tuple[dict[str, Any], ...]:
    return build_folder(str(FOLDER / "overlays" / name))


@cache
def build_folder(folder: str) -> tuple[dict[str, Any], ...]:
    return tuple(yaml.safe_load_all(run_program("kustomize", "build", folder)))


def one_of(manifests: tuple[dict[str, Any], ...], kind: str) -> dict[str, Any]:
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def pod_templates(manifests: tuple[dict[str, Any], ...]) -> Iterator[dict[str, Any]]:
    """Yield the template of each workload."""
    yield from (manifest["spec"]["template"] for manifest in manifests if manifest["kind"] in ("Deployment", "Job"))


def container_variables(container: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of the program: those of the image and of the container, with the values of a pod."""
    found = read_image_variables()
    for entry in container.get("env", ()):
        if "valueFrom" in entry:
            found[entry["name"]] = POD_VALUES[entry["valueFrom"]["fieldRef"]["fieldPath"]]
            continue
        value = entry["value"]
        for name in list(found):  # of variables before it, as Kubernetes does
            value = value.replace(f"$({name})", found[name])
        found[entry["name"]] = value
    return found
