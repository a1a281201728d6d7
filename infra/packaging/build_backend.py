"""Builds wheel and source archive: the build backend (PEP 517) that pyproject.toml names for pip, pipx and uv.

It needs Python's standard library alone, so a build downloads nothing, and equal sources make equal files.

The names of the program's packages are common ones, such as `config`. In the wheel they are in the folder `tree` of the
only package, azure_job_scheduler, whose command puts this folder first on sys.path.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from container.versions import VERSION_FILE, read_number, read_source_version

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "azure_job_scheduler"
TREES = ("jobs", "config", "importers", "observability", "scheduler")
SOURCES = (*TREES, "docs", "infra/compose", "infra/packaging", "infra/pipeline/container")
SOURCE_FILES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md")
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_FILE_TIME = 315532800
"""The same instant in Unix seconds, as in the image."""


def build_wheel(
    wheel_directory: str, config_settings: Mapping[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Write the wheel into the folder and return its name."""
    version = read_source_version(ROOT).version
    info = f"{PACKAGE}-{version}.dist-info"
    modules = sorted((ROOT / "infra" / "packaging" / PACKAGE).glob("*.py"))
    files = {f"{PACKAGE}/{path.name}": path.read_bytes() for path in modules}
    files |= {f"{PACKAGE}/tree/{name}": content for name, content in _read_sources(TREES, version)}
    scripts = "".join(f"{name} = {target}\n" for name, target in _project()["scripts"].items())
    wheel = "Wheel-Version: 1.0\nGenerator: build_backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/licenses/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    files[f"{info}/METADATA"] = _describe(version).encode()
    files[f"{info}/WHEEL"] = wheel.encode()
    files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{scripts}".encode()
    record = [f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items()]
    files[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    name = f"{PACKAGE}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory, name), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, _ZIP_TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(entry, content)
    return name


def build_sdist(sdist_directory: str, config_settings: Mapping[str, Any] | None = None) -> str:
    """Write the source archive into the folder and return its name. Its wheel has the version of this working copy."""
    version = read_source_version(ROOT).version
    folder = f"{PACKAGE}-{version}"
    files = {name: (ROOT / name).read_bytes() for name in SOURCE_FILES} | dict(_read_sources(SOURCES, version))
    files["PKG-INFO"] = _describe(version).encode()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime, entry.mode = len(files[name]), _FILE_TIME, 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    Path(sdist_directory, f"{folder}.tar.gz").write_bytes(gzip.compress(content.getvalue(), mtime=0))
    return f"{folder}.tar.gz"


def _read_sources(folders: tuple[str, ...], version: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file in these folders, with the version in the file that contains its number."""
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()):
        name = path.relative_to(ROOT).as_posix()
        if "__pycache__" in path.parts or (name.startswith("config/jobs/") and path.parent.name != "samples"):
            continue  # jobs of this machine stay on it
        content = path.read_bytes()
        yield name, content.replace(read_number(ROOT).encode(), version.encode()) if name == VERSION_FILE else content


def _project() -> Mapping[str, Any]:
    project: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def _describe(version: str) -> str:
    """Return the core metadata (PEP 643)."""
    project = _project()
    extras: Mapping[str, list[str]] = project["optional-dependencies"]
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {version}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        "License-File: LICENSE",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {requirement}" for requirement in project["dependencies"]),
        *(f"Provides-Extra: {extra}" for extra in extras),
        *(
            f"Requires-Dist: {each}; extra == '{extra}'"
            for extra, requirements in extras.items()
            for each in requirements
        ),
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join([*lines, "", (ROOT / "README.md").read_text(encoding="utf-8")])


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
