"""Programs that render templates: kustomize and Docker Compose, as `./dev test` installs them from Debian."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.parts import missing
from tests.project import ROOT

_FOLDER = ROOT / ".tools" / "infra" / "usr" / "bin"


def run_program(name: str, *arguments: str | Path, environ: dict[str, str] | None = None) -> str:
    """Return what the program writes. Fails with its errors; skips without the program."""
    program = shutil.which(name, path=str(_FOLDER)) or shutil.which(name)
    if program is None:
        missing(f"{name} is not there (Debian's package {name}; ./dev test installs it)")
    words = [program, *(str(argument) for argument in arguments)]
    done = subprocess.run(words, capture_output=True, text=True, env=environ, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
