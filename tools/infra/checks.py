"""Checks the templates below infra/ with Microsoft's compiler, checkov and a grammar. Called by `./dev infra check`.

The compiler needs an Azure CLI with Bicep (`az bicep install`); the others come from PyPI. This module needs Python's
standard library alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def check_templates(root: Path, checkov: Path) -> bool:
    """Print the result of each check; return whether all succeeded."""
    bicep, grammar = root / "infra" / "bicep", root / "tools" / "infra" / "grammar.py"
    results = [
        _run_check("grammar of Bicep", checkov.with_name("python"), "-P", grammar, *sorted(bicep.rglob("*.bicep"))),
        *_compile(bicep),
    ]
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


def _compile(folder: Path) -> Iterator[bool]:
    """Yield whether the compiler accepts the template, and the parameters of each environment."""
    az = shutil.which("az")
    if az is None or subprocess.run([az, "bicep", "version"], capture_output=True).returncode:
        print(f"{'az bicep build':<32}MISSING on this machine")  # otherwise az would download the compiler
        return
    yield _run_check("az bicep build", az, "bicep", "build", "--file", folder / "main.bicep", "--stdout")
    yield _run_check("az bicep lint", az, "bicep", "lint", "--file", folder / "main.bicep")
    for path in sorted((folder / "parameters").glob("*.bicepparam")):
        yield _run_check(f"az bicep {path.stem}", az, "bicep", "build-params", "--file", path, "--stdout")


def _run_check(name: str, *command: str | Path) -> bool:
    """Print the result, the errors and the warnings of a program."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    print(f"{name:<32}{'FAILED' if done.returncode else 'ok'}")
    print(f"{done.stdout if done.returncode else ''}{done.stderr}", end="")
    return done.returncode == 0


def _places(root: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what is checked. The manifests are those that kustomize makes."""
    yield "bicep", root / "infra" / "bicep" / "modules"  # main.bicep has none but modules, and uses fail()
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
    unread = results.get("parsing_errors", ())
    for path in unread:
        yield f"{path}: checkov cannot read it"
    if summary.get("parsing_errors") and not unread:  # with --quiet, the result has their number alone
        yield f"checkov cannot read {summary['parsing_errors']} of the files"
    if not summary.get("passed"):
        yield "checkov has checked nothing"
