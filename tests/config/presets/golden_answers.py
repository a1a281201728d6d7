"""Answers of Azure for each preset of the product, from tests/data/azure/preset_answers.json, and runs by them.

GOLDEN["budget"].good()                                # an entry that is well
page("budget", [entry], following)                     # the answer with these entries
await run("budget", page("budget", [entry]))           # of a job that the preset makes
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from config.job_files.definitions import DefinedJob, DefinitionContext, define_job
from config.job_files.entries import JobEntry, PartInterner
from config.presets.library import NO_OWN_PRESETS
from config.presets.preset import Preset
from jobs.checks.clock import PhaseClock
from jobs.checks.port import AttemptContext
from jobs.definition import JobDefinition
from jobs.expectations import judge
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.runner import Runner
from jobs.runs import Failure, Observation, Run
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import TICKET, Heard
from tests.jobs.running.virtual_time import LoopClock
from tests.parts.azure_apis import TARGET, AzureApis
from tests.parts.http_server import Answer

ROOT = Path(__file__).resolve().parents[3]
_FILE = ROOT / "tests/data/azure/preset_answers.json"
FILE: dict[str, Any] = json.loads(_FILE.read_text())
_TIME = re.compile(r"(AGO|AHEAD|EPOCH) (\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat().replace("+00:00", "Z")


def with_times(value: Any) -> Any:
    """The value with instants for texts such as `AGO 2h`."""
    if isinstance(value, dict):
        return {key: with_times(part) for key, part in value.items()}
    if isinstance(value, list):
        return [with_times(part) for part in value]
    if not isinstance(value, str) or (found := _TIME.fullmatch(value)) is None:
        return value
    time = timedelta(**{_UNITS[found[3]]: int(found[2])})
    if found[1] == "EPOCH":
        return int((datetime.now(UTC) + time).timestamp())
    return ago(seconds=time.total_seconds() * (1 if found[1] == "AGO" else -1))


def changed(entry: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with other values at these dotted paths, or keys with dots."""
    entry = copy.deepcopy(entry)
    for path, value in changes.items():
        *above, last = path.split(".")
        holder = entry
        for key in above:
            holder = holder[key]
        holder[last] = with_times(value)
    return entry


@dataclass(frozen=True)
class Golden:
    """What Azure answers for a preset. `name`: path to that of an entry; empty without one."""

    shape: str
    entry: Mapping[str, Any]
    name: str
    changes: Mapping[str, Any]
    """Of an entry that is bad."""
    values: Mapping[str, Any]
    """Of the preset's parameters, in addition to the examples."""
    stale: Mapping[str, Any]
    columns: Mapping[str, str]
    lacks: str
    says: Mapping[str, Any]
    """The verdict and the message of each case, or why the case does not apply."""

    def good(self) -> dict[str, Any]:
        made: dict[str, Any] = with_times(dict(self.entry))
        return made

    def bad(self) -> dict[str, Any]:
        return changed(self.good(), self.changes)

    def numbered(self, entry: dict[str, Any], number: int) -> dict[str, Any]:
        """The entry with a name of its own."""
        if not self.name:
            return entry
        holder: Any = entry
        for key in self.name.split("."):
            holder = holder[key]
        before, mark, after = str(holder).partition("/providers/Microsoft.ResourceHealth")
        return changed(entry, {self.name: f"{before}-{number}{mark}{after}"})


def _read(name: str) -> Golden:
    known = FILE["presets"][name]
    return Golden(
        known["shape"],
        known["entry"],
        known["name"],
        known["bad"],
        known.get("with", {}),
        known.get("stale", {}),
        known.get("columns", {}),
        known["lacks"],
        {**FILE["refusals"], **known["says"]},
    )


GOLDEN: dict[str, Golden] = {name: _read(name) for name in FILE["presets"]}


def job_of(name: str, values: Mapping[str, Any] | None = None, **more: Any) -> JobDefinition:
    """The job that a preset makes of its examples and these values."""
    preset = NO_OWN_PRESETS.find(name)
    assert isinstance(preset, Preset)
    given = GOLDEN[name].values if values is None else values
    written = {"preset": name, "with": {**preset.examples, **given}, **more}
    context = DefinitionContext(None, PartInterner(), 0, {})
    defined = define_job(JobEntry("job", written, ()), context)
    assert isinstance(defined, DefinedJob), defined
    return defined.job


def page(name: str, entries: Sequence[Mapping[str, Any]], following: str = "", age: str = "AGO 2m") -> Answer:
    """The answer with these entries. `age`: when a bucket of a metric ended."""
    golden = GOLDEN[name]
    match golden.shape:
        case "objects":
            token = {"$skipToken": following, "resultTruncated": "true"} if following else {}
            return Answer.of_json({"count": len(entries), "data": entries, "resultTruncated": "false", **token})
        case "table":
            columns = [{"name": key, "type": kind} for key, kind in golden.columns.items()]
            rows = [[entry[key] for key in golden.columns] for entry in entries]
            return Answer.of_json({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]})
        case "metric":
            return _metric(entries, age)
        case "resource":
            return Answer.of_json(entries[0])
        case "post":
            return Answer.of_json({"value": entries, **({"continuationToken": following} if following else {})})
    link = "@odata.nextLink" if golden.shape == "graph" else "nextLink"
    return Answer.of_json({"value": entries, link: following or None})


def _metric(entries: Sequence[Mapping[str, Any]], age: str) -> Answer:
    ended = datetime.fromisoformat(with_times(age))
    times = [(ended + timedelta(minutes=5 * step)).isoformat() for step in (-2, -1, 0)]
    series = [
        {
            "metadatavalues": [{"name": {"value": "instance", "localizedValue": "instance"}, "value": f"w{number}"}],
            "data": [
                {"timeStamp": times[0], "average": 1.0},
                {"timeStamp": times[1], "average": entry["value"]},
                {"timeStamp": times[2]},
            ],
        }
        for number, entry in enumerate(entries)
    ]
    name = {"value": "CpuPercentage", "localizedValue": "CPU Percentage"}
    metric = {"name": name, "type": "Microsoft.Insights/metrics", "unit": "Percent", "timeseries": series}
    return Answer.of_json({"cost": 0, "interval": "PT5M", "resourceregion": "westeurope", "value": [metric]})


def pages(name: str, *entries: Mapping[str, Any]) -> list[Answer]:
    """The whole answer with these entries: of queues a response each."""
    if GOLDEN[name].shape != "queue":
        return [page(name, entries)]
    counts = [str(count) for count in entries[0].values()]
    return [Answer(200, {"x-ms-approximate-messages-count": count}) for count in counts]


async def observe(name: str, *answers: Answer) -> tuple[Observation, tuple[Failure, ...]]:
    """Observe once, and judge."""
    job = job_of(name)
    async with AzureApis.open() as azure:
        azure.script = list(answers)
        observed = await azure.observe(job.check.model_dump(mode="json", by_alias=True, exclude_unset=True))
    return observed, () if observed.unknown else judge(observed, job.expect)


async def run(name: str, *answers: Answer, values: Mapping[str, Any] | None = None, **more: Any) -> Run:
    """The run of the job that the preset makes. In an answer, SERVED is the thumbprint of the server."""
    job = job_of(name, values, **more)
    async with AzureApis.open() as azure:
        azure.script = [await _with_thumbprint(azure, answer) for answer in answers]
        runner = Runner(azure.checks, CircuitBreakers(MemoryStates()), Heard(), LoopClock(), Redactor())
        return await runner.run(job, TICKET)


async def _with_thumbprint(azure: AzureApis, answer: Answer) -> Answer:
    if b"SERVED" not in answer.body:
        return answer
    target = TARGET.validate_python({"kind": "tls", "host": GOLDEN["certificate-deployed"].values["host"]})
    shown = await azure.checks.observe(target, AttemptContext("job@1", 1, PhaseClock()))
    body = answer.body.replace(b"SERVED", str(shown.facts["thumbprint"]).encode())
    return Answer(answer.status, answer.headers, body)
