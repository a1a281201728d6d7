"""Checks the files of the pipelines with npm-groovy-lint and ShellCheck. Called by `./dev infra check`.

python -m tools.infra.pipelines [--groovy-lint PROGRAM] [--shellcheck PROGRAM]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
JENKINSFILES = ("Jenkinsfile", "infra/jenkins/rollback/Jenkinsfile", "infra/jenkins/packages/Jenkinsfile")
RULES = "infra/jenkins/groovylintrc.json"
SCRIPTS = (".ci/run",)
"""Files of shell."""

_JENKINS_STEP = re.compile(r"\bsh (?:'''(?P<block>.*?)'''|'(?P<line>[^'\n]*)')", re.DOTALL)
_YAML_STEPS = ("run", "script", "inlineScript")
_AZURE_MACRO = re.compile(r"\$\((?=[A-Za-z.]+\))([A-Za-z.]+)\)")


def check_pipelines(root: Path, groovy_lint: Path | None, shellcheck: Path | None) -> bool:
    """Print the result of each check; return whether all succeeded. A tool without a program is reported as missing."""
    return all(
        [
            _report("npm-groovy-lint", _run_groovy_lint(root, groovy_lint)),
            _report("shellcheck", _run_shellcheck(root, shellcheck)),
        ]
    )


def _report(name: str, problems: str | None) -> bool:
    print(f"{name:<32}{'MISSING on this machine' if problems is None else 'FAILED' if problems else 'ok'}")
    if problems:
        print(problems)
    return problems == ""


def _run_groovy_lint(root: Path, program: Path | None) -> str | None:
    """Return what the linter found; empty if nothing."""
    if program is None:
        return None
    command = [str(program), "--noserver", "--config", str(root / RULES), "--failon", "info", *JENKINSFILES]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


def _run_shellcheck(root: Path, program: Path | None) -> str | None:
    if program is None:
        return None
    found = [_judge(program, "bash", (root / path).read_text(encoding="utf-8"), path) for path in SCRIPTS]
    found += [_judge(program, shell, script, path) for path, shell, script in list_steps(root)]
    return "".join(found)


def _judge(program: Path, shell: str, script: str, path: str) -> str:
    command = [str(program), f"--shell={shell}", "--severity=style", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True)
    return f"{path}:\n{done.stdout}{done.stderr}" if done.returncode else ""


def list_steps(root: Path) -> Iterator[tuple[str, str, str]]:
    """Yield path, shell and text of each step of the pipelines that is a script."""
    for path in JENKINSFILES:
        for match in _JENKINS_STEP.finditer((root / path).read_text(encoding="utf-8")):
            yield path, "sh", match["block"] or match["line"]
    for folder in (".github/workflows", "infra/azure-pipelines"):
        for file in sorted((root / folder).glob("*.yml")):
            for script in _list_scripts(yaml.safe_load(file.read_text(encoding="utf-8"))):
                yield str(file.relative_to(root)), "bash", _AZURE_MACRO.sub(r"/azure/\1", script)


def _list_scripts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _list_scripts(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in _YAML_STEPS and isinstance(each, str):
                yield each
            yield from _list_scripts(each)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groovy-lint", type=Path)
    parser.add_argument("--shellcheck", type=Path)
    options = parser.parse_args()
    return 0 if check_pipelines(ROOT, options.groovy_lint, options.shellcheck) else 1


if __name__ == "__main__":
    sys.exit(main())
