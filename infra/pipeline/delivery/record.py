"""The record of a deployment: what ran before it, and how far it came. Written before anything is changed.

A write replaces the file as a whole, so a killed script leaves a complete record. The first write fails if another
process created the file.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from delivery.errors import UnusableInput

RECORD_FORMAT = 1
DEPLOYING, DEPLOYED, VERIFIED, ROLLED_BACK = "deploying", "deployed", "verified", "rolled_back"
OPEN_STATES = (DEPLOYING, DEPLOYED)
"""States after which something has to follow: verify or rollback."""


@dataclass(frozen=True)
class Running:
    """What ran before. `version`: empty if the app did not answer. `revision`: of a container app.

    `prefix`: of tables and queues, which a new revision takes over; empty: none.
    """

    image: str
    version: str = ""
    revision: str = ""
    prefix: str = ""


@dataclass(frozen=True)
class RunBaseline:
    """The scheduled runs before the deployment.

    `buckets`: number of runs in equal spans of `bucket` seconds from `since` on. `failed`: how many of them failed;
    `failing`: the jobs with a failed run; `jobs`: number of jobs with a run.
    """

    since: str = ""
    bucket: float = 10.0
    buckets: list[int] = field(default_factory=list)
    failed: int = 0
    failing: list[str] = field(default_factory=list)
    jobs: int = 0


@dataclass(frozen=True)
class Record:
    """`steps`: the changes that were started, in order, each with its instant. `last_tick`: empty if unknown.

    `jobs`: the images of Container Apps jobs before, by name.
    """

    environment: str
    platform: str
    app: str
    image: str
    version: str
    previous: Running
    recorded_at: str
    last_tick: str = ""
    run_count: int = 0
    runs: RunBaseline = field(default_factory=RunBaseline)
    state: str = DEPLOYING
    steps: list[dict[str, str]] = field(default_factory=list)
    format: int = RECORD_FORMAT
    jobs: dict[str, str] = field(default_factory=dict)

    def has_step(self, name: str) -> bool:
        """Return whether this change was started."""
        return any(step["step"] == name for step in self.steps)

    def details_of(self, name: str) -> list[str]:
        """Return the details of each start of this change, such as the name of a revision."""
        return [step.get("detail", "") for step in self.steps if step["step"] == name]


class RecordFile:
    """The file of a record."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, record: Record) -> None:
        """Write the record of a new deployment. Raises UnusableInput if an unfinished one exists."""
        if self.path.exists():
            self._refuse_unfinished(self.read())
            self.write(record)
            return
        temporary = self._write_temporary(record)
        try:
            os.link(temporary, self.path)  # fails if the file exists, unlike a replacement
        except FileExistsError:
            raise UnusableInput(f"--record: another process has just created {self.path}: wait for its end.") from None
        finally:
            os.unlink(temporary)
        self._sync_folder()

    def refuse_unfinished(self) -> None:
        """Raise UnusableInput if the file has the record of an unfinished deployment."""
        if self.path.exists():
            self._refuse_unfinished(self.read())
        elif not self.path.parent.is_dir():
            raise UnusableInput(f"--record: the folder {self.path.parent} does not exist.")

    def write(self, record: Record) -> None:
        """Replace the record."""
        os.replace(self._write_temporary(record), self.path)
        self._sync_folder()

    def read(self) -> Record:
        """Return the record. Raises UnusableInput."""
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
            return _parse(values)
        except FileNotFoundError:
            raise UnusableInput(
                f"--record: {self.path} does not exist. If `deploy` never wrote it, nothing was changed. "
                "Otherwise run `rollback ENVIRONMENT --image REPOSITORY@sha256:... --version V`."
            ) from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UnusableInput(f"--record: {self.path} is not a record of `deploy`: {error!r}") from None

    def _refuse_unfinished(self, found: Record) -> None:
        if found.state in OPEN_STATES:
            raise UnusableInput(
                f"--record: {self.path} has an unfinished deployment ({found.state}) of version {found.version} to "
                f"{found.environment}, recorded at {found.recorded_at}. Run `verify` or `rollback` with this record "
                "first, or use another file."
            )

    def _write_temporary(self, record: Record) -> str:
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(record), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        return name

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def with_state(record: Record, state: str) -> Record:
    """Return the record in another state."""
    return replace(record, state=state)


def with_step(record: Record, step: str, at: str, detail: str) -> Record:
    """Return the record with one more change that is about to start."""
    return replace(record, steps=[*record.steps, {"step": step, "at": at, "detail": detail}])


def _parse(values: Mapping[str, Any]) -> Record:
    if values["format"] != RECORD_FORMAT:
        raise ValueError(f"its format is {values['format']!r}, expected {RECORD_FORMAT}")
    return Record(**{**values, "previous": Running(**values["previous"]), "runs": RunBaseline(**values["runs"])})
