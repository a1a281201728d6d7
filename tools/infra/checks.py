"""Checks the templates below infra/ with checkov and a grammar of Bicep. Called by `./dev infra check`.

Both read Bicep with parsers that are not ours: a second opinion on the files. Needs Python's standard library alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def check_templates(root: Path, python: Path, checkov: Path) -> bool:
    """Print the result of each check; return whether all succeeded. `python`: with the development requirements."""
    command = [str(python), "-m", "tools.infra.arm.documents", "--check"]
    results = [subprocess.run(command, cwd=root).returncode == 0]
    print(f"{'ARM JSON is current':<32}{'ok' if results[0] else 'FAILED'}")
    templates = sorted((root / "infra" / "bicep").rglob("*.bicep"))
    grammar = [
        str(checkov.with_name("python")),
        "-P",
        str(root / "tools" / "infra" / "grammar.py"),
        *map(str, templates),
    ]
    results.append(subprocess.run(grammar).returncode == 0)
    print(f"{'grammar of Bicep':<32}{'ok' if results[1] else 'FAILED'}")
    with tempfile.TemporaryDirectory() as folder:
        for framework, path in _places(root, Path(folder)):
            found = _run(checkov, framework, path)
            problems = list(list_problems(found))
            print(*problems, sep="\n", end="\n" if problems else "")
            summary = found.get("summary", {})
            counts = f"{summary.get('passed', 0)} passed, {summary.get('skipped', 0)} skipped with a reason"
            name = f"checkov {framework} {path.name}"
            print(f"{name:<32}{f'FAILED: {len(problems)} findings' if problems else 'ok'} ({counts})")
            results.append(not problems)
    return all(results)


def _places(root: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what is checked. The manifests are those that kustomize makes."""
    yield "bicep", root / "infra" / "bicep"
    yield "arm", root / "infra" / "arm"
    yield "dockerfile", root / "Dockerfile"
    kustomize = root / ".tools" / "infra" / "usr" / "bin" / "kustomize"
    program = str(kustomize) if kustomize.exists() else shutil.which("kustomize")
    if program is None:
        return
    for overlay in sorted((root / "infra" / "kubernetes" / "overlays").iterdir()):
        target = folder / overlay.name
        target.mkdir()
        built = subprocess.run([program, "build", str(overlay)], capture_output=True, text=True, check=True)
        (target / "manifests.yaml").write_text(built.stdout)
        yield "kubernetes", target


def _run(checkov: Path, framework: str, path: Path) -> dict[str, Any]:
    """Return checkov's result. It downloads nothing and sends nothing."""
    place = ["--file" if path.is_file() else "--directory", str(path)]
    command = [str(checkov), *place, "--framework", framework, "--skip-download", "--output", "json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    start = done.stdout.find("{")
    if start < 0:
        raise RuntimeError(f"checkov gave no result: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout[start:])
    return found


def list_problems(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield each finding, each file that checkov cannot read, and a run that has checked nothing."""
    results, summary = found.get("results", {}), found.get("summary", {})
    for check in results.get("failed_checks", ()):
        first, _ = check["file_line_range"]
        yield f"{check['file_path']}:{first}: {check['check_id']} {check['resource']}: {check['check_name']}"
    for path in results.get("parsing_errors", ()):
        yield f"{path}: checkov cannot read it"
    if not summary.get("passed"):
        yield "checkov has checked nothing"
