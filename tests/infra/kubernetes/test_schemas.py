"""Each manifest of each overlay is valid by the schemas of Kubernetes, in which an unknown key is a problem."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema_rs
import pytest

from tests.infra.kubernetes.custom_resources import SERVICE_MONITOR
from tests.infra.kubernetes.manifests import FOLDER, OVERLAYS, build_folder, build_overlay, one_of
from tests.parts import missing
from tools.infra import kubernetes_schemas

REQUIRED_VERSIONS = ("1.33.0", "1.37.0")
"""The oldest and the newest of the releases that had fixes in 2026."""
MINIMUM_VERSION = "1.26.0"
"""The first one with unhealthyPodEvictionPolicy. docs/kubernetes.md names it."""

FIRST_KEY = FOLDER / "components" / "first-key"


@pytest.fixture(autouse=True)
def _schemas() -> None:
    if kubernetes_schemas.find_package() is None:
        missing("the schemas of Kubernetes are not there (PyPI kubernetes-validate; ./dev test downloads them)")


def find_problems(manifest: dict[str, Any], version: str = "1.37.0") -> list[str]:
    if manifest["kind"] == "ServiceMonitor":
        errors = jsonschema_rs.validator_for(SERVICE_MONITOR).iter_errors(manifest)
        return [error.message for error in errors]
    return kubernetes_schemas.find_problems(manifest, version)


@pytest.mark.parametrize("version", [MINIMUM_VERSION, *REQUIRED_VERSIONS])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_manifests_of_an_overlay_are_valid(overlay: str, version: str) -> None:
    manifests = build_overlay(overlay)
    assert {str(each["kind"]): find_problems(each, version) for each in manifests} == {
        str(each["kind"]): [] for each in manifests
    }


@pytest.mark.parametrize("version", REQUIRED_VERSIONS)
def test_the_job_of_the_first_key_is_valid(version: str, with_first_key: tuple[dict[str, Any], ...]) -> None:
    assert find_problems(one_of(with_first_key, "Job"), version) == []
    assert one_of(with_first_key, "Deployment")["spec"]["replicas"] == 0


def test_the_newest_schemas_are_used() -> None:
    assert kubernetes_schemas.list_versions()[-1] == REQUIRED_VERSIONS[-1]


def test_a_slip_is_found() -> None:
    deployment = copy.deepcopy(one_of(build_overlay("prod"), "Deployment"))
    pod = deployment["spec"]["template"]["spec"]
    pod["containers"][0]["readOnlyRootFileSystem"] = True
    pod["terminationGracePeriodSeconds"] = "20s"
    del deployment["spec"]["selector"]
    found = find_problems(deployment)
    assert sorted(each.split(":")[0] for each in found) == [
        "/spec",
        "/spec/template/spec/containers/0",
        "/spec/template/spec/terminationGracePeriodSeconds",
    ]
    monitor = copy.deepcopy(one_of(build_overlay("prod"), "ServiceMonitor"))
    monitor["spec"]["endpoints"][0]["bearerToken"] = "x"
    assert len(find_problems(monitor)) == 1


def test_every_folder_with_manifests_belongs_to_an_overlay_or_is_optional() -> None:
    used = " ".join(path.read_text() for path in FOLDER.glob("overlays/*/kustomization.yaml"))
    components = {path.name for path in (FOLDER / "components").iterdir()}
    assert {name for name in components if f"components/{name}" not in used} == {"first-key"}
    for path in FOLDER.rglob("kustomization.yaml"):
        text = path.read_text()
        own = {file.name for file in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
        assert {name for name in own if name not in text} == set(), path


def test_the_base_builds_by_itself() -> None:
    assert len(build_folder(str(FOLDER / "base"))) == 7
