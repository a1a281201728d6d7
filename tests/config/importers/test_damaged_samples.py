"""Samples of all sources with random damage: each is read and accounted for, or refused with a reason."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from importers.running import run_import
from importers.source_tree import SourceFile, UnreadableSource
from tests.config.importers.importing import leaf_paths, read_jobs
from tests.config.importers.kuma.backups import read_backup_text
from tests.config.importers.kuma.database import build_database, import_database, monitor, sample

DATA = Path(__file__).parents[2] / "data/importers"
SAMPLES = {
    "datadog": "datadog/tests.json",
    "healthchecks": "healthchecks/checks-v3.json",
    "app-insights": "app-insights/answer.json",
    "uptime-kuma": "uptime-kuma/backup-1.23.json",
}
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e300, 10**30, "", "x", "{{ A }}", "${x}", "[parameters('x')]", "\0", "é" * 300, "1.5", [], {},
    [1], {"a": 1}, [[]], "http://[", "https://u:p@c/?token=zz1234567", "9" * 400, "(?P<", "\n", "%",
)  # fmt: skip


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in entries:
        yield (*path, key)
        yield from _places(one, (*path, key))


def _damage(document: Any, chance: random.Random) -> Any:
    damaged = copy.deepcopy(document)
    for _ in range(chance.randint(1, 5)):
        places = list(_places(damaged))
        if not places:
            break
        *above, key = chance.choice(places)
        container = damaged
        for step in above:
            container = container[step]
        if chance.random() < 0.8:
            container[key] = copy.deepcopy(chance.choice(VALUES))
        else:
            del container[key]
    return damaged


@pytest.mark.parametrize("source", SAMPLES)
def test_damaged_json_is_accounted_for_or_refused(source: str) -> None:
    document = json.loads((DATA / SAMPLES[source]).read_text())
    for seed in range(25):
        damaged = json.loads(json.dumps(_damage(document, random.Random(seed))))
        file = SourceFile(Path("a.json"), "a.json", json.dumps(damaged).encode())
        try:
            report = run_import(source, [file])
        except UnreadableSource:
            continue
        read = read_backup_text(json.dumps(damaged)) if source == "uptime-kuma" else damaged
        assert {entry.path for entry in report.entries} == leaf_paths(read), seed
        read_jobs(report)


def test_damaged_rows_of_a_database_are_accounted_for(tmp_path: Path) -> None:
    rows = sample()["tables"]["monitor"]
    scalars = [value for value in VALUES if isinstance(value, (str, int, float)) and value != 10**30]
    damaged = []
    chance = random.Random(1)
    for number in range(150):
        row = {key: value for key, value in chance.choice(rows).items() if key != "since"}
        for key in chance.sample(sorted(row), 2):
            if key not in ("id", "type"):
                row[key] = chance.choice(scalars)
        damaged.append({**monitor(str(row["type"])), **row, "id": number + 1})
    report = import_database(build_database(tmp_path / "kuma.db", {"monitor": damaged}))
    assert {entry.key.split(".")[1] for entry in report.entries} == {str(number + 1) for number in range(150)}
    read_jobs(report)
