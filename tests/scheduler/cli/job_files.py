"""Job files for the commands' tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_jobs(folder: Path, **jobs: dict[str, Any] | str) -> None:
    """One file with these jobs; a text is short for a job on demand that asks this URL once."""
    whole = {name.replace("_", "-"): _once(job) if isinstance(job, str) else job for name, job in jobs.items()}
    (folder / "jobs.json").write_text(json.dumps({"jobs": whole}))


def _once(url: str) -> dict[str, Any]:
    return {"check": {"url": url}, "retry": {"attempts": 1}}
