"""The Helm chart, rendered by Helm's own library: valid objects, those of infra/kubernetes, with accepted settings."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings.loading import load_settings
from tests.infra.kubernetes.manifests import FOLDER, build_folder, container_variables, one_of
from tests.infra.kubernetes.test_pods import require_least_rights
from tests.infra.kubernetes.test_schemas import REQUIRED_VERSIONS, find_problems
from tests.parts import missing
from tests.project import ROOT
from tools.infra import helm, kubernetes_schemas

CHART = ROOT / "infra" / "packaging" / "helm" / "scheduler"
ALL: dict[str, Any] = {
    "image": {"repository": "contoso.azurecr.io/scheduler-embedded", "digest": f"sha256:{'0' * 64}"},
    "store": "azure",
    "replicas": 3,
    "env": {"SCHEDULER_STORAGE__ACCOUNT_NAME": "contososcheduler", "DD_API_KEY_FILE": "/run/secrets/settings/datadog"},
    "settingSecrets": "scheduler-setting-secrets",
    "workloadIdentity": "00000000-0000-0000-0000-000000000000",
    "firstKey": True,
    "ingress": {"host": "checks.example.com"},
    "serviceMonitor": {"enabled": True},
}
VALUES: dict[str, dict[str, Any]] = {
    "none": {},
    "all": ALL,
    "sqlite": {"firstKey": True, "persistence": {"storageClass": "managed-csi"}},
}


@pytest.fixture(autouse=True)
def _parts() -> None:
    if not helm.is_installed() or kubernetes_schemas.find_package() is None:
        missing("Helm's library or the schemas of Kubernetes are not there (from PyPI; ./dev test downloads them)")


def render(values: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    texts = helm.render(CHART, values, "scheduler").values()
    documents = [one for text in texts for one in yaml.safe_load_all(text) if one]
    # Helm creates objects in the namespace of the release.
    return tuple({**one, "metadata": one["metadata"] | {"namespace": "scheduler"}} for one in documents)


@pytest.mark.parametrize("version", REQUIRED_VERSIONS)
@pytest.mark.parametrize("values", VALUES)
def test_the_objects_are_valid(values: str, version: str) -> None:
    assert helm.lint(CHART, VALUES[values], version) == []
    manifests = render(VALUES[values])
    assert len(manifests) >= 7
    assert {str(each["kind"]): find_problems(each, version) for each in manifests if find_problems(each, version)} == {}


def test_the_default_objects_are_those_of_kustomize() -> None:
    charted = {each["kind"]: normalize(each) for each in render({})}
    assert charted == {each["kind"]: normalize(each) for each in build_folder(str(FOLDER / "base"))}


ONLY_IN_CHART = ("app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by")


def normalize(value: Any) -> Any:
    """Return an object without what differs on purpose: labels of the release, namespace, notes, image, its store."""
    if isinstance(value, dict):
        omitted = {*ONLY_IN_CHART, "namespace", "image", "helm.sh/resource-policy"}
        found = {key: normalize(each) for key, each in value.items() if key not in omitted}
        notes = found.get("annotations", {})
        notes = {key: each for key, each in notes.items() if not key.startswith("checkov.io/")}
        return {key: each for key, each in (found | {"annotations": notes}).items() if each or key != "annotations"}
    if isinstance(value, list):
        parts = [normalize(each) for each in value if each != {"name": "SCHEDULER_STORE", "value": STORE}]
        return sorted(parts, key=partial(json.dumps, sort_keys=True))
    return value


STORE = "sqlite:////data/scheduler.db"
"""The variable of the image has the same value."""


def test_the_settings_of_all_values_are_valid(tmp_path: Path) -> None:
    (container,) = one_of(render(ALL), "Deployment")["spec"]["template"]["spec"]["containers"]
    environ = container_variables(container)
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert environ["DD_API_KEY_FILE"].rpartition("/")[0] in mounted
    (tmp_path / "key").write_text("0" * 32)
    settings = load_settings(environ | {"DD_API_KEY_FILE": str(tmp_path / "key")}, root=ROOT).settings
    assert (settings.store, settings.storage.account_name) == ("azure", "contososcheduler")
    assert (settings.http.public_url, settings.http.behind_proxy) == ("https://checks.example.com", True)


@pytest.mark.parametrize("values", VALUES)
def test_pods_have_the_least_rights(values: str) -> None:
    pod = one_of(render(VALUES[values]), "Deployment")["spec"]["template"]["spec"]
    require_least_rights(pod)
    for container in pod.get("initContainers", ()):
        require_least_rights({**pod, "containers": [container]})


def test_with_azure_no_pod_waits_for_a_volume_or_the_end_of_another() -> None:
    manifests = render(ALL)
    assert "PersistentVolumeClaim" not in {each["kind"] for each in manifests}
    spec = one_of(manifests, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["rollingUpdate"]) == (3, {"maxUnavailable": 0, "maxSurge": 1})
    spread = spec["template"]["spec"]["topologySpreadConstraints"]
    assert {each["topologyKey"]: each["whenUnsatisfiable"] for each in spread} == {
        "topology.kubernetes.io/zone": "ScheduleAnyway",
        "kubernetes.io/hostname": "DoNotSchedule",
    }
    assert all(each["labelSelector"] == spec["selector"] for each in spread)


@pytest.mark.parametrize(
    "values",
    [{"replicas": 2}, {"replica": 1}, {"store": "files"}, {"image": {"digest": "latest"}}, {"env": {"A": 1}}],
)
def test_invalid_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="values don't meet the specifications of the schema"):
        render(values)


def test_names_are_those_of_the_release() -> None:
    texts = helm.render(CHART, ALL, "other").values()
    manifests = [one for text in texts for one in yaml.safe_load_all(text) if one]
    assert {each["metadata"]["name"] for each in manifests} == {"other", "other-jobs"}
