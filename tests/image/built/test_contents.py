"""What is in the images: packages as the list of components says, and nothing that installs or tests."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.image.built.containers import run_once
from tests.image.built.images import BuiltImage
from tests.project import ROOT
from tools.image import licenses

PACKAGES = {"functions": "home/site/wwwroot/.python_packages/lib/site-packages", "embedded": "opt/scheduler/packages"}
PROGRAM = {"functions": "home/site/wwwroot", "embedded": "opt/scheduler"}
WRITABLE = {
    "functions": {
        "/home/data",
        "/home/LogFiles",
        "/home/ASP.NET",
        "/home/.azurefunctions",
        "/azure-functions-host/Secrets",
    },
    "embedded": {"/data"},
}
TESTS_ON_THE_TREE = ("tests/observability/exporters", "tests/observability/generation", "tests/jobs/expectations")
UNCHECKED_HASH = 1
FIND_MODULES = """
import importlib.util, json, sys
names = json.loads(sys.argv[1])
print(json.dumps([name for name in names if importlib.util.find_spec(name) is not None]))
"""


@contextmanager
def mounted(image: BuiltImage) -> Iterator[Path]:
    """The image's file system as a folder."""
    container = image.workshop.read("buildah", "from", "--pull=never", image.name)
    try:
        yield Path(image.workshop.read("buildah", "mount", container))
    finally:
        image.workshop.run("buildah", "umount", container)
        image.workshop.run("buildah", "rm", container)


def test_installers_and_foreign_modules_cannot_be_imported(image: BuiltImage) -> None:
    absent = ["pip", "setuptools", "wheel", "pkg_resources", "ensurepip", "_distutils_hack"]
    absent += ["tests", "test_", "docs", "examples", "benchmarks", "conftest", "pytest", "tools"]
    present = ["scheduler", "jobs", "azure.data.tables", "datadog_api_client.v2.api.metrics_api", "cel_expr_python.cel"]

    done = run_once(image, "-c", FIND_MODULES, json.dumps([*absent, *present]), entrypoint="python3")

    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == set(present)


def test_no_file_of_an_installer_remains(image: BuiltImage) -> None:
    with mounted(image) as root:
        names = {f"{name}{end}" for name in ("pip", "setuptools", "wheel", "ensurepip") for end in ("", ".py")}
        found = [folder for folder, _, _ in os.walk(root) if Path(folder).name in names]
        programs = [*root.glob("usr/bin/pip*"), *root.glob("usr/local/bin/pip*")]
    assert (found, programs) == ([], [])


def test_the_list_of_components_is_what_is_installed(image: BuiltImage, tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    words = ("-P", "-m", "tools.sbom", "--version", "1.2.3", "--output", str(file))
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    components = {(each["name"], each["version"]) for each in json.loads(file.read_text())["components"]}

    with mounted(image) as root:
        metadata = sorted((root / PACKAGES[image.target]).glob("*.dist-info/METADATA"))
        installed = {read_name_and_version(each) for each in metadata}

    assert {(normalize(name), version) for name, version in components} == installed


def normalize(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def read_name_and_version(metadata: Path) -> tuple[str, str]:
    fields = dict(line.split(": ", 1) for line in metadata.read_text().split("\n\n")[0].splitlines() if ": " in line)
    return normalize(fields["Name"]), fields["Version"]


def test_every_record_is_true(image: BuiltImage) -> None:
    """Each file of a package is in one RECORD, with its hash; byte code is in none."""
    wrong: list[str] = []
    with mounted(image) as root:
        packages = root / PACKAGES[image.target]
        recorded: set[str] = set()
        for record in packages.glob("*.dist-info/RECORD"):
            for name, digest, _ in csv.reader(record.read_text().splitlines()):
                recorded.add(name)
                if digest and digest != hash_of(packages / name):
                    wrong.append(name)
        files = {path.relative_to(packages).as_posix() for path in packages.rglob("*") if path.is_file()}
    assert wrong == []
    assert {name for name in files - recorded if not name.endswith(".pyc")} == {licenses.FILE}
    assert recorded - files == set()


def hash_of(file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def test_byte_code_never_depends_on_file_times(image: BuiltImage) -> None:
    with mounted(image) as root:
        files = list((root / PROGRAM[image.target]).rglob("*.pyc"))
        flags = {int.from_bytes(file.read_bytes()[4:8], "little") for file in files}
    assert len(files) > 3000
    assert flags == {UNCHECKED_HASH}


def test_root_owns_everything_but_the_folders_of_data(image: BuiltImage) -> None:
    with mounted(image) as root:
        others = {
            f"/{path.relative_to(root)}"
            for path in root.rglob("*")
            if not path.is_symlink() and path.stat().st_uid != 0 and path.is_relative_to(root)
        }
        writable = [path for path in (root / PROGRAM[image.target]).rglob("*") if path.stat().st_mode & 0o022]
    assert {path for path in others if not path.startswith("/var/cache")} == WRITABLE[image.target]
    assert writable == []


@pytest.mark.timeout(900)
def test_the_programs_own_tests_pass_on_the_packages_of_the_image(functions_image: BuiltImage) -> None:
    """Exporters, generated dashboards and expectations, with the libraries of the image."""
    python = os.environ.get("IMAGE_STAGE_PYTHON", sys.executable)
    with mounted(functions_image) as root:
        environment = {**os.environ, "PYTHONPATH": str(root / PACKAGES["functions"])}
        command = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS_ON_THE_TREE]
        done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout[-4000:]
    assert int(done.stdout.strip().splitlines()[-1].split()[0]) > 1000
