"""A sample change of the product, made in a copy: it works and touches exactly the files that are documented for it.

    def test_a_setting(sample_change: SampleChangeFactory) -> None:
        change = sample_change("a setting")                 # the first cell of its row in "Where do I change ...?"
        change.insert("config/settings/model.py", after="class LogSettings(Frozen):", text="    color: bool = False")
        change.append_row("docs/settings.md", below="## Settings", row="| `log.color` | ...")
        change.write("jobs/checks/kinds/smtp.py", "...")     # a new file
        assert change.python("...") == "True\n"             # or change.cli("jobs"), change.pytest("tests/docs")
        change.assert_touches_documented_files()

Every edit fails if the place that it names does not exist, exists twice, or (`write`) exists already. In a row of the
document a place is a file in backticks; `jobs/checks/kinds/<kind>.py` stands for one new file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.parts.proc import Finished, clean_environment
from tests.project import ROOT
from tests.project.test_files import files

SampleChangeFactory = Callable[[str], "SampleChange"]

_TABLE_HEADING = "## Where do I change ...?"
_PATH = re.compile(r"[\w.<>-]+(/[\w.<>-]+)+|\w+\.(py|json|toml|md)")
_SECONDS = 300.0


class SampleChange:
    """`key`: the first cell of the change's row. `folder`: where the copy is made; it must not exist."""

    def __init__(self, key: str, folder: Path) -> None:
        self._key = key
        self._folder = folder
        self._touched: set[str] = set()
        for file in files():
            target = folder / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)

    @property
    def folder(self) -> Path:
        return self._folder

    def write(self, path: str, text: str) -> None:
        """Add a file."""
        file = self._folder / path
        assert not file.exists(), f"{path} exists already: insert into it, or write another file"
        assert file.parent.is_dir(), f"{path}: there is no folder {file.parent.relative_to(self._folder)}"
        file.write_text(text, encoding="utf-8")
        self._touched.add(path)

    def insert(self, path: str, *, text: str, after: str = "", before: str = "") -> None:
        """Add lines after, or before, the only line that contains the marker."""
        assert bool(after) != bool(before), "name one marker: after or before"
        lines = self._lines(path)
        at = _only_index(path, lines, after or before)
        lines.insert(at + 1 if after else at, text.removesuffix("\n"))
        self._save(path, lines)

    def replace(self, path: str, old: str, new: str) -> None:
        """Replace the only occurrence of a text."""
        text = "\n".join(self._lines(path))
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times, expected once"
        self._save(path, text.replace(old, new).split("\n"))

    def append_row(self, path: str, *, below: str, row: str) -> None:
        """Add a row to the end of the first Markdown table below the only line that contains `below`."""
        lines = self._lines(path)
        at = _only_index(path, lines, below)
        while at < len(lines) and not lines[at].startswith("|"):
            at += 1
        assert at < len(lines), f"{path}: there is no table below {below!r}"
        while at < len(lines) and lines[at].startswith("|"):
            at += 1
        lines.insert(at, row)
        self._save(path, lines)

    def python(self, code: str, **env: str) -> str:
        """Run a program in the copy; return what it printed."""
        return self._output("-c", code, env=env)

    def cli(self, *arguments: str, **env: str) -> Finished:
        """Run `python -m scheduler` in the copy."""
        return self._run("-m", "scheduler", *arguments, env=env)

    def pytest(self, *arguments: str) -> None:
        """Run tests of the copy; fail unless they pass."""
        self._output("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments, env={})

    def assert_touches_documented_files(self) -> None:
        """Compare the files touched with those of the row, both ways."""
        places = documented_places(self._key)
        unnamed = [path for path in sorted(self._touched) if not any(_fits(place, path) for place in places)]
        untouched = [place for place in places if not any(_fits(place, path) for path in self._touched)]
        assert (unnamed, untouched) == ([], []), f"docs/architecture.md, row {self._key!r}: touched {self._touched}"

    def _lines(self, path: str) -> list[str]:
        file = self._folder / path
        assert file.is_file(), f"{path} does not exist"
        return file.read_text(encoding="utf-8").split("\n")

    def _save(self, path: str, lines: list[str]) -> None:
        (self._folder / path).write_text("\n".join(lines), encoding="utf-8")
        self._touched.add(path)

    def _output(self, *arguments: str, env: dict[str, str]) -> str:
        done = self._run(*arguments, env=env)
        assert done.code == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def _run(self, *arguments: str, env: dict[str, str]) -> Finished:
        guard = self._folder / "tests" / "parts" / "guarded"
        environment = clean_environment({"PYTHONPATH": f"{guard}:{self._folder}", **env})
        command = [sys.executable, "-P", *arguments]
        done = subprocess.run(
            command, cwd=self._folder, env=environment, text=True, capture_output=True, timeout=_SECONDS
        )
        return Finished(done.returncode, done.stdout, done.stderr)


def documented_places(key: str) -> list[str]:
    """Return the files that docs/architecture.md names for this change."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.split(f"\n{_TABLE_HEADING}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in section.splitlines() if row[:2] == "| "]
    found = [row[1] for row in rows if row[0] == key]
    assert len(found) == 1, f"docs/architecture.md has {len(found)} rows {key!r} below {_TABLE_HEADING!r}, expected one"
    return [piece for piece in re.findall(r"`([^`]+)`", found[0]) if _PATH.fullmatch(piece)]


def _fits(place: str, path: str) -> bool:
    pattern = re.sub(r"<\w+>", r"[\\w-]+", re.escape(place).replace(r"\<", "<").replace(r"\>", ">"))
    return re.fullmatch(pattern, path) is not None


def _only_index(path: str, lines: list[str], marker: str) -> int:
    found = [number for number, line in enumerate(lines) if marker in line]
    assert len(found) == 1, f"{path} has {len(found)} lines with {marker!r}, expected one"
    return found[0]
