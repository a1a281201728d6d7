"""Wheel, source archive, Helm chart, list of components and checksums of a tag: infra/pipeline/packages.

`build` makes the same files from the same commit. `publish` uploads them to what is set: no address is in a file.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import re
import sys
import tarfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from container.commands import ROOT, Commands
from container.errors import InvalidUse, StepFailed
from container.repositories import sign_in_helm
from container.versions import read_source_version

CHART = ROOT / "infra" / "packaging" / "helm" / "scheduler"
SUMS_FILE = "SHA256SUMS"
_FILE_TIME = 315532800
"""1980 in Unix seconds, as in the image and the source archive."""


def main(words: Sequence[str]) -> int:
    options = _make_parser().parse_args(words)
    folder, commands = Path(options.folder).absolute(), Commands(options.dry_run)
    try:
        if options.command == "build":
            build(folder, commands, is_release=not options.any_version)
        else:
            publish(folder, commands, options.chart_registry, options.python_index)
    except (StepFailed, InvalidUse) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InvalidUse) else 1
    return 0


def build(folder: Path, commands: Commands, *, is_release: bool) -> None:
    """Write the files into the folder, which must be empty. Raises InvalidUse for a commit without a tag."""
    version = read_source_version(ROOT).version
    if is_release and "+" in version:
        raise InvalidUse(f"the version is {version}: check out the tag of a release, unchanged, or give --any-version.")
    if folder.exists() and any(folder.iterdir()):
        raise InvalidUse(f"{folder} is not empty: its files would be published, too.")
    if not commands.dry_run:
        folder.mkdir(parents=True, exist_ok=True)
        sys.path.insert(0, str(ROOT / "infra" / "packaging"))
        backend = import_module("build_backend")
        backend.build_wheel(str(folder))
        backend.build_sdist(str(folder))
        (folder / f"scheduler-{version}.tgz").write_bytes(_pack_chart(version))
    commands.run(str(ROOT / "dev"), "sbom", "--output", str(folder / "sbom.json"), "--version", version)
    if not commands.dry_run:
        files = sorted(folder.iterdir())
        sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
        (folder / SUMS_FILE).write_text(sums, encoding="utf-8")
        print(sums, end="")


def publish(folder: Path, commands: Commands, chart_registry: str, python_index: str) -> None:
    """Upload the chart to a registry, wheel and archive to an index. Raises InvalidUse, StepFailed."""
    if not chart_registry and not python_index:
        raise InvalidUse("give --chart-registry or --python-index, or set CHART_REGISTRY or PYTHON_INDEX.")
    _check_sums(folder)
    if chart_registry:
        (chart,) = folder.glob("scheduler-*.tgz")
        sign_in_helm(chart_registry, commands)
        commands.run("helm", "push", str(chart), f"oci://{chart_registry}")
    if python_index:  # the credentials are TWINE_USERNAME and TWINE_PASSWORD, or PYPIRC_PATH of a pipeline
        files = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
        words = ("twine", "upload", "--non-interactive", "--repository-url", python_index)
        commands.run(*words, *map(str, files))


def _check_sums(folder: Path) -> None:
    """Raise InvalidUse unless the folder has the files that were built, unchanged."""
    try:
        lines = (folder / SUMS_FILE).read_text(encoding="utf-8").splitlines()
        wrong = [name for digest, name in (line.split("  ") for line in lines) if _digest(folder / name) != digest]
    except OSError as error:
        raise InvalidUse(f"{folder} does not have the files of `packages build`: {error}") from None
    if wrong:
        raise InvalidUse(f"{', '.join(wrong)}: changed after `packages build`.")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _pack_chart(version: str) -> bytes:
    """Return what `helm package --version V --app-version V` makes, with fixed times."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(path for path in CHART.rglob("*") if path.is_file()):
            data = path.read_bytes()
            if path.name == "Chart.yaml":
                data = re.sub(rb"(?m)^((?:app)?[vV]ersion): .*$", rb"\1: " + version.encode(), data)
            entry = tarfile.TarInfo(f"scheduler/{path.relative_to(CHART).as_posix()}")
            entry.size, entry.mtime, entry.mode = len(data), _FILE_TIME, 0o644
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(content.getvalue(), mtime=0)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infra/pipeline/packages", description=__doc__)
    parser.add_argument("command", choices=("build", "publish"))
    parser.add_argument("--folder", default="dist", help="default: dist")
    parser.add_argument("--dry-run", action="store_true", help="print the commands that would change something")
    parser.add_argument("--any-version", action="store_true", help="build: also without a tag")
    registry, index = os.environ.get("CHART_REGISTRY", ""), os.environ.get("PYTHON_INDEX", "")
    parser.add_argument(
        "--chart-registry", default=registry, help="such as contoso.azurecr.io/charts; default: CHART_REGISTRY"
    )
    parser.add_argument("--python-index", default=index, help="address for twine; default: PYTHON_INDEX")
    return parser
