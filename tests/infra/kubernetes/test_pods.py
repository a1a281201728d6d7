"""The pods run with the least rights, one at a time or of one mind, with settings that the program accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from config.job_files.reader import JobFileReader
from config.settings.loading import load_settings
from config.settings.model import Settings
from tests.infra.kubernetes.manifests import FOLDER, OVERLAYS, build_overlay, container_variables, one_of, pod_templates
from tests.parts.proc import ForkedProgram
from tests.project import ROOT


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> tuple[dict[str, Any], ...]:
    return build_overlay(request.param)


def the_pod(manifests: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    pod: dict[str, Any] = one_of(manifests, "Deployment")["spec"]["template"]["spec"]
    return pod


def require_least_rights(pod: dict[str, Any]) -> None:
    """As the Pod Security Standard `restricted` demands, and a read-only root in addition."""
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])


def test_pods_have_the_least_rights(
    manifests: tuple[dict[str, Any], ...], with_first_key: tuple[dict[str, Any], ...]
) -> None:
    templates = [*pod_templates(manifests), *pod_templates(with_first_key)]
    assert len(templates) == 3
    for template in templates:
        require_least_rights(template["spec"])


def test_the_namespace_enforces_the_restricted_standard(manifests: tuple[dict[str, Any], ...]) -> None:
    labels = one_of(manifests, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_never_two_pods_write_the_file(overlay: str) -> None:
    manifests = build_overlay(overlay)
    spec = one_of(manifests, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    modes = one_of(manifests, "PersistentVolumeClaim")["spec"]["accessModes"]
    assert modes in (["ReadWriteOncePod"], ["ReadWriteOnce"])


def test_a_pod_that_is_highly_available_is_never_the_only_one() -> None:
    manifests = build_overlay("ha")
    assert not [each for each in manifests if each["kind"] == "PersistentVolumeClaim"]
    spec = one_of(manifests, "Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    budget = one_of(manifests, "PodDisruptionBudget")["spec"]
    assert (budget["minAvailable"], "maxUnavailable" in budget) == (1, False)
    pod = spec["template"]["spec"]
    assert {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}} in pod["volumes"]
    labels = spec["template"]["metadata"]["labels"]
    keys = {"topology.kubernetes.io/zone": "ScheduleAnyway", "kubernetes.io/hostname": "DoNotSchedule"}
    assert {each["topologyKey"]: each["whenUnsatisfiable"] for each in pod["topologySpreadConstraints"]} == keys
    for each in pod["topologySpreadConstraints"]:
        assert each["labelSelector"]["matchLabels"].items() <= labels.items()
    container = pod["containers"][0]
    assert container["readinessProbe"]["httpGet"]["path"] == "/api/health/ready"


def test_the_commented_settings_are_valid(tmp_path: Path) -> None:
    """The dead-man's switch, with the comment signs removed."""
    text = (FOLDER / "overlays" / "ha" / "deployment.yaml").read_text()
    lines = [line.replace("# ", "", 1) for line in text.splitlines() if "SELF_WATCH" in line or "/self-watch" in line]
    (entry,) = yaml.safe_load("\n".join(line.removeprefix(" " * 12) for line in lines))
    (tmp_path / "url").write_text("https://hc.example.com/ping")
    environ = {"SCHEDULER_STORE": "sqlite:///a.db", entry["name"]: str(tmp_path / "url")}
    assert load_settings(environ, root=ROOT).settings.self_watch.url is not None


def test_what_is_written_is_a_volume(manifests: tuple[dict[str, Any], ...]) -> None:
    pod = the_pod(manifests)
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert {path for path, mount in mounts.items() if not mount.get("readOnly")} == {"/data", "/tmp"}
    assert not any("subPath" in mount for mount in mounts.values()), "a mount with subPath never changes"
    assert {mount["name"] for mount in mounts.values()} == {volume["name"] for volume in pod["volumes"]}


def test_each_probe_asks_a_route_that_needs_no_key(manifests: tuple[dict[str, Any], ...]) -> None:
    container = the_pod(manifests)["containers"][0]
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {
        "startup": "/api/health/live",
        "liveness": "/api/health/live",
        "readiness": "/api/health/ready",
    }
    assert {container[f"{name}Probe"]["httpGet"]["port"] for name in paths} == {"http"}
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]


def test_the_pod_waits_for_the_end_of_the_program(manifests: tuple[dict[str, Any], ...]) -> None:
    assert the_pod(manifests)["terminationGracePeriodSeconds"] >= Settings().shutdown_grace + 10


def test_the_settings_are_valid_and_their_files_are_mounted(
    manifests: tuple[dict[str, Any], ...], tmp_path: Path
) -> None:
    pod = the_pod(manifests)
    environ = container_variables(pod["containers"][0])
    mounted = tuple(f"{mount['mountPath']}/" for mount in pod["containers"][0]["volumeMounts"])
    for name in [name for name in environ if name.endswith("_FILE")]:
        assert environ[name].startswith(mounted)
        (tmp_path / name).write_text("InstrumentationKey=00000000-0000-0000-0000-000000000000\n")
        environ[name] = str(tmp_path / name)
    settings = load_settings(environ, root=ROOT).settings
    assert (settings.environment, settings.port, settings.allow_remote) == ("prod", 8080, True)
    assert f"{settings.secrets_folder}/" in mounted
    assert f"{settings.jobs}/" in mounted
    replicas = one_of(manifests, "Deployment")["spec"]["replicas"]
    assert settings.uses_azure_storage == (replicas > 1)
    assert settings.uses_azure_storage or str(settings.sqlite_path).startswith("/data/")
    names = ("10.244.0.7", "scheduler", "scheduler.scheduler.svc", "scheduler.scheduler.svc.cluster.local")
    assert set(names) <= set(settings.http.accepted_hosts())


def test_the_public_address_is_that_of_the_ingress() -> None:
    manifests = build_overlay("prod")
    environ = container_variables(the_pod(manifests)["containers"][0])
    ingress = one_of(manifests, "Ingress")["spec"]
    hosts = [*ingress["tls"][0]["hosts"], *(rule["host"] for rule in ingress["rules"])]
    assert {f"https://{host}" for host in hosts} == {environ["SCHEDULER_HTTP__PUBLIC_URL"]}
    assert environ["SCHEDULER_HTTP__BEHIND_PROXY"] == "true"


def test_the_jobs_are_valid(manifests: tuple[dict[str, Any], ...], tmp_path: Path) -> None:
    config = one_of(manifests, "ConfigMap")
    assert config["metadata"]["name"] == "scheduler-jobs", "a suffix would start a new pod for each change"
    for name, text in config["data"].items():
        (tmp_path / name).write_text(text)
    jobs = JobFileReader(tmp_path, {}).read(tmp_path)
    assert len(jobs) > 0
    assert jobs.warnings == ()


def test_selectors_find_the_pod(manifests: tuple[dict[str, Any], ...]) -> None:
    labels = set(one_of(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"].items())
    assert set(one_of(manifests, "Service")["spec"]["selector"].items()) <= labels
    policy = one_of(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    budget = one_of(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    assert set(policy.items()) | set(budget.items()) <= labels


@pytest.mark.parametrize("overlay", ["prod", "ha"])
def test_the_pod_of_azure_has_an_identity_and_a_digest(overlay: str) -> None:
    manifests = build_overlay(overlay)
    template = one_of(manifests, "Deployment")["spec"]["template"]
    assert template["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert "azure.workload.identity/client-id" in one_of(manifests, "ServiceAccount")["metadata"]["annotations"]
    assert "@sha256:" in template["spec"]["containers"][0]["image"]


def test_the_network_allows_only_known_callers_and_no_metadata() -> None:
    spec = one_of(build_overlay("prod"), "NetworkPolicy")["spec"]
    namespaces = [
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for rule in spec["ingress"]
        for peer in rule["from"]
        if "namespaceSelector" in peer
    ]
    assert sorted(namespaces) == ["ingress-nginx", "monitoring"]
    blocks = [peer["ipBlock"] for peer in spec["egress"][0]["to"]]
    assert "169.254.0.0/16" in blocks[0]["except"]


async def test_the_job_creates_the_first_key(with_first_key: tuple[dict[str, Any], ...], tmp_path: Path) -> None:
    container = one_of(with_first_key, "Job")["spec"]["template"]["spec"]["containers"][0]
    environ = container_variables(container) | {"SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}"}
    del environ["PYTHONPATH"], environ["SCHEDULER_JOBS"]
    async with ForkedProgram(*container["args"], env=environ, cwd=tmp_path) as program:
        assert await program.exited() == 0, program.stderr
    assert program.stdout.startswith("sch_")
