"""Runs Schemathesis with the project's settings (schemathesis.toml), and collects what it finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished

from tests.parts.fuzzing.bridge import App

SETTINGS = Path(__file__).resolve().parents[3] / "schemathesis.toml"
UNEXPECTED_METHODS = ("get", "put", "post", "delete", "options", "patch", "trace", "query")
PHASES = ("examples", "coverage", "fuzzing", "stateful")


@dataclass
class FuzzResult:
    """`cases`: requests by phase. `statuses`: answers by operation and status. `failures`: one text a failed check."""

    cases: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def count_successful_operations(self) -> int:
        return len({operation for operation, status in self.statuses if status < 300})

    def __str__(self) -> str:
        counts = ", ".join(f"{phase} {number}" for phase, number in self.cases.items())
        return "\n".join([f"{self.cases.total()} cases ({counts}), {len(self.failures)} failures", *self.failures])


def fuzz(
    app: App,
    *,
    examples: int,
    phases: Sequence[str] = PHASES,
    headers: Mapping[str, str] | None = None,
    operations: Sequence[str] = (),
    excluded: Sequence[str] = (),
    methods: Sequence[str] = UNEXPECTED_METHODS,
    seed: int | None = None,
) -> FuzzResult:
    """Send generated requests to every operation.

    `operations`: only those with these ids. `excluded`: all but those. `methods`: those that are tried on
    paths that do not document them.
    """
    config = SchemathesisConfig.from_path(SETTINGS)
    if seed is not None:
        config.update(seed=seed, max_failures=None)
    project = config.projects.default
    project.update(headers=dict(headers or {}))
    project.phases.update(phases=list(phases))
    project.phases.coverage.unexpected_methods = set(methods)
    # A generated credential next to a valid one would count as one that is wrongly accepted.
    project.generation.update(max_examples=examples, database="none", with_security_parameters=not headers)
    schema: Any = schemathesis.openapi.from_asgi("/api/openapi.json", app, config=config, headers=dict(headers or {}))
    if operations:
        schema = schema.include(operation_id=list(operations))
    if excluded:
        schema = schema.exclude(operation_id=list(excluded))
    result = FuzzResult()
    for event in from_schema(schema).execute():
        if isinstance(event, ScenarioFinished):
            _collect(event, result)
        elif isinstance(event, NonFatalError):
            result.failures.append(f"{event.phase.value} {event.label}: {event.info.title}: {event.info.message}")
        elif isinstance(event, FatalError):
            raise event.exception
    return result


def _collect(event: ScenarioFinished, result: FuzzResult) -> None:
    recorder = event.recorder
    result.cases[event.phase.value] += len(recorder.cases)
    for case_id, interaction in recorder.interactions.items():
        if interaction.response is not None:
            label = recorder.cases[case_id].value.operation.label
            result.statuses[label, interaction.response.status_code] += 1
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.status is Status.FAILURE and check.failure_info is not None:
                failure = check.failure_info.failure
                case = recorder.cases[case_id].value
                answer = recorder.interactions[case_id].response if case_id in recorder.interactions else None
                shown = "" if answer is None else f"{answer.status_code} {answer.content[:600]!r}"
                result.failures.append(
                    f"{event.phase.value} {check.name}: {failure.title}: {failure.message}\n"
                    f"    {case.as_curl_command()}\n    {shown}"
                )
