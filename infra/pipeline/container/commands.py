"""Runs tools. Every command is printed to standard error; a dry run prints those that would change something only."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from container.errors import InvalidUse, StepFailed

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Commands:
    """The tools of this machine."""

    dry_run: bool = False

    def run(self, *words: str, text: str | None = None) -> None:
        """Run a tool that changes something. Its output goes to standard error. `text`: its standard input."""
        print(f"+ {shlex.join(words)}", file=sys.stderr, flush=True)
        if not self.dry_run:
            self._start(words, capture=False, text=text)

    def read(self, *words: str) -> str:
        """Run a tool that changes nothing, and return what it prints."""
        return self._start(words, capture=True).strip()

    def has(self, name: str) -> bool:
        return shutil.which(name) is not None

    def require(self, name: str, remedy: str) -> None:
        if not self.dry_run and not self.has(name):
            raise InvalidUse(f"{name} is not installed: {remedy}")

    def _start(self, words: tuple[str, ...], *, capture: bool, text: str | None = None) -> str:
        out = subprocess.PIPE if capture else sys.stderr
        try:
            done = subprocess.run(words, cwd=ROOT, input=text, text=True, stdout=out)
        except FileNotFoundError:
            raise InvalidUse(f"{words[0]} is not installed.") from None
        if done.returncode:
            raise StepFailed(f"exit code {done.returncode} of: {shlex.join(words)}")
        return done.stdout or ""
