"""Helm's own library, out of a package of PyPI. Called by ./dev and tests/infra/packaging.

install_helm()                              # into .tools, only on x86-64 Linux
render(chart, {"replicas": 2}, "name")      # the manifests of a release, without a cluster
"""

from __future__ import annotations

import sys
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

from tools.infra.kubernetes_schemas import ROOT, download

REQUIREMENT = ROOT / "tools" / "infra" / "helm.txt"
FOLDER = ROOT / ".tools" / "helm"
_LIBRARY = "helm_python/lib/libhelm_c.so"


def install_helm() -> bool:
    """Unpack the package, and of its library one of three copies, unless it exists. Return whether it exists."""
    if is_installed():
        return True
    if not download(REQUIREMENT, FOLDER):
        return False
    (package,) = FOLDER.glob("*.whl")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(FOLDER, [name for name in archive.namelist() if ".so." not in name])
    package.unlink()
    return is_installed()


def is_installed() -> bool:
    version = REQUIREMENT.read_text().split("==")[1].split()[0]
    return (FOLDER / _LIBRARY).exists() and (FOLDER / f"helm_python_sdk-{version}.dist-info").exists()


def render(chart: Path, values: dict[str, Any], name: str) -> dict[str, str]:
    """Return the manifests by template, as `helm template` does. Raises HelmError, also for invalid values."""
    with _library().Chart.load(chart) as loaded:
        rendered: dict[str, str] = loaded.render(values, name=name, namespace=name)
        return rendered


def lint(chart: Path, values: dict[str, Any], version: str) -> list[str]:
    """Return the problems and warnings of `helm lint --strict` for this version of Kubernetes."""
    found = _library().lint(chart, values, strict=True, kube_version=f"v{version}")
    return [*found["errors"], *(each["error"] for each in found["messages"] if each["severity"] > 1)]


def _library() -> Any:
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return import_module("helm_python.chart")
