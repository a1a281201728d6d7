"""Checks the project's texts and names: `python -m tools.house_style.check [PATH ...]`. Called by `./dev check`.

Without paths, all files that the rules apply to, and every exception has to be used. With paths, these files and
folders alone, those included that are not checked yet.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.house_style.exceptions import Exceptions, read_exceptions
from tools.house_style.names import defined_names, parts_of
from tools.house_style.prose import prose_of
from tools.house_style.rules import Rule, any_of, read_rules

ROOT = Path(__file__).resolve().parents[2]
CHECKED_FOLDERS = (
    "jobs",
    "scheduler",
    "config",
    "importers",
    "observability",
    "bench",
    "tools",
    "docs",
    "tests/parts",
    "infra/pipeline",
)
CHECKED_FILES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "function_app.py",
    "dev",
    "Jenkinsfile",
    "Dockerfile",
    "pyproject.toml",
)
CHECKED_SUFFIXES = (".py", ".md", ".yaml", ".yml", ".html", ".js", ".css")


@dataclass(frozen=True)
class Violation:
    """A text that a rule refuses."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class StyleChecker:
    """Applies the rules of a folder `styles` to texts."""

    def __init__(self, styles: Path) -> None:
        self._text_rules = read_rules(styles / "House")
        self._name_rules = read_rules(styles / "Names")
        self._any_text, self._any_name = any_of(self._text_rules), any_of(self._name_rules)
        self.exceptions: Exceptions = read_exceptions(styles / "exceptions.yml")

    def check(self, path: str, text: str) -> Iterator[Violation]:
        """Yield what the rules refuse in one file. `path`: from the project's folder."""
        lines = text.split("\n")
        found = [*self._in_prose(path, text), *self._in_names(path, text)]
        for line, words, rule in sorted(found, key=lambda each: each[0]):
            if not self.exceptions.excuse(path, words, lines[line - 1]):
                yield Violation(path, line, rule.describe(" ".join(words.split())))

    def _in_prose(self, path: str, text: str) -> Iterator[tuple[int, str, Rule]]:
        prose = prose_of(path, text)
        if not any(pattern.search(prose) for pattern in self._any_text):
            return
        for rule in self._text_rules:
            for match in rule.pattern.finditer(prose):
                yield prose.count("\n", 0, match.start()) + 1, match[0], rule

    def _in_names(self, path: str, text: str) -> Iterator[tuple[int, str, Rule]]:
        if not (path.endswith(".py") or path == "dev"):
            return
        for line, name in [(1, Path(path).stem), *defined_names(text)]:
            parts = parts_of(name)
            if not any(pattern.search(parts) for pattern in self._any_name):
                continue
            for rule in self._name_rules:
                if match := rule.pattern.search(parts):
                    yield line, match[0], rule


def project_files(root: Path = ROOT) -> Iterator[str]:
    """Yield the files that git tracks or would add, and that the rules apply to."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in sorted(subprocess.check_output(command, cwd=root, text=True).split("\0")):
        in_folder = name.startswith(tuple(f"{folder}/" for folder in CHECKED_FOLDERS))
        is_checked = name in CHECKED_FILES or (in_folder and name.endswith(CHECKED_SUFFIXES))
        if is_checked and (root / name).is_file():
            yield name


def check_project(
    checker: StyleChecker, files: Iterable[str] | None = None, paths: Sequence[str] = (), *, root: Path = ROOT
) -> list[str]:
    """Return the violations as lines. `files`: those of the project unless given; `paths`: see the module."""
    chosen = _chosen(project_files(root) if files is None else files, paths, checker.exceptions)
    violations = [one for name in chosen for one in checker.check(name, (root / name).read_text(encoding="utf-8"))]
    stale = [] if paths else list(checker.exceptions.unused())
    return [*map(str, violations), *(f"styles/exceptions.yml: {entry} matches nothing: remove it" for entry in stale)]


def _chosen(files: Iterable[str], paths: Sequence[str], exceptions: Exceptions) -> Iterator[str]:
    chosen = tuple(path.rstrip("/") for path in paths)
    for name in files:
        if chosen:
            if name in chosen or name.startswith(tuple(f"{path}/" for path in chosen)):
                yield name
        elif not exceptions.is_unchecked(name):
            yield name


def main(arguments: Sequence[str]) -> int:
    """Print the violations; return the exit code."""
    lines = check_project(StyleChecker(ROOT / "styles"), paths=arguments)
    print(*lines, sep="\n", end="\n" if lines else "")
    if lines:
        print(f"{len(lines)} texts or names differ from docs/style.md", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
