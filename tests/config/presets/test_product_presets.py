"""Each preset of the product, by answers like the examples of Azure's REST specifications.

What is found, and never that a target is down because its control plane refuses, fails or is silent.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from config.job_files.definitions import DefinedJob, DefinitionContext, define_job
from config.job_files.entries import JobEntry, PartInterner
from config.presets.library import NO_OWN_PRESETS, built_in_names
from config.presets.preset import Preset
from jobs.definition import JobDefinition
from jobs.expectations import judge
from jobs.runs import Failure, Observation
from tests.parts.azure_apis import AzureApis
from tests.parts.http_server import Answer

ROOT = Path(__file__).resolve().parents[3]
AZURE = built_in_names()


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat().replace("+00:00", "Z")


def ahead(**time: float) -> str:
    return (datetime.now(UTC) + timedelta(**time)).isoformat().replace("+00:00", "Z")


def epoch(**time: float) -> int:
    return int((datetime.now(UTC) + timedelta(**time)).timestamp())


class Golden(NamedTuple):
    """`good`: an entry that is well. `bad`: changes of its values, and the words of the message."""

    good: Callable[[], dict[str, Any]]
    bad: dict[str, Any]
    words: str
    are_rows_names: bool = True
    """Whether the entries are judged one by one, and the empty list is well."""


def _queue() -> dict[str, Any]:
    return {"name": "orders", "properties": {"countDetails": {"activeMessageCount": 3, "deadLetterMessageCount": 0}}}


def _run() -> dict[str, Any]:
    return {"name": "1", "properties": {"status": "Succeeded", "endTime": ago(hours=2)}}


GOLDEN = {
    "servicebus-dead-letters": Golden(
        _queue, {"properties.countDetails.deadLetterMessageCount": 41}, "orders (dead letters 41, below 1)"
    ),
    "servicebus-backlog": Golden(
        _queue, {"properties.countDetails.activeMessageCount": 2300}, "orders (backlog 2300, below 1000)"
    ),
    "keyvault-expiry": Golden(
        lambda: {"name": "smtp", "properties": {"attributes": {"exp": epoch(days=90), "enabled": True}}},
        {"properties.attributes.exp": epoch(days=2)},
        "ends within 168 hours",
    ),
    "app-registration-expiry": Golden(
        lambda: {
            "displayName": "mailer",
            "keyCredentials": [],
            "passwordCredentials": [{"endDateTime": ago(days=1)}, {"endDateTime": ahead(days=90)}],
        },
        {"passwordCredentials": [{"endDateTime": ahead(days=3)}]},
        "mailer (its last credential ends within 720 hours)",
    ),
    "log-query": Golden(lambda: {"TimeGenerated": ago(minutes=1)}, {}, "1", False),
    "resource-health": Golden(
        lambda: {"id": "/subscriptions/s/x/vm1", "properties": {"availabilityState": "Unknown"}},
        {"properties.availabilityState": "Unavailable"},
        'vm1 (state "Unavailable"',
    ),
    "service-health": Golden(
        lambda: {"tracking": "ABC-1", "title": "Storage", "status": "Resolved"}, {"status": "Active"}, "ABC-1"
    ),
    "budget": Golden(
        lambda: {"name": "monthly", "properties": {"amount": 600.65, "currentSpend": {"amount": 120.89}}},
        {"properties.currentSpend.amount": 590},
        "monthly (90 % of it are spent)",
    ),
    "quota": Golden(
        lambda: {"currentValue": 55, "limit": 250, "name": {"value": "cores"}},
        {"currentValue": 250},
        "it is used up)",
    ),
    "logic-app-runs": Golden(_run, {"properties.endTime": ago(days=3)}, "0", False),
    "container-app-job": Golden(_run, {"properties.endTime": ago(days=3)}, "0", False),
    "data-factory-runs": Golden(
        lambda: {"runId": "1", "status": "Succeeded", "runEnd": ago(hours=2)}, {"runEnd": ago(days=3)}, "0", False
    ),
    "container-app": Golden(
        lambda: {"name": "a-1", "properties": {"active": True, "healthState": "Healthy", "runningState": "Running"}},
        {"properties.healthState": "Unhealthy"},
        'a-1 (health "Unhealthy"',
        False,
    ),
    "recovery-services-backup": Golden(
        lambda: {
            "properties": {
                "friendlyName": "vm1",
                "lastBackupTime": ago(hours=3),
                "lastBackupStatus": "Completed",
                "protectionState": "Protected",
            }
        },
        {"properties.lastBackupStatus": "Failed"},
        'vm1 (last backup "Failed"',
        False,
    ),
    "azure-sql-state": Golden(
        lambda: {"name": "shop", "properties": {"status": "Paused"}},
        {"properties.status": "Offline"},
        'shop (state "Offline"',
    ),
}


def job_of(name: str) -> JobDefinition:
    preset = NO_OWN_PRESETS.find(name)
    assert isinstance(preset, Preset)
    written = {"preset": name, "with": dict(preset.examples)}
    context = DefinitionContext(None, PartInterner(), 0, {})
    defined = define_job(JobEntry("job", written, ()), context)
    assert isinstance(defined, DefinedJob), defined
    return defined.job


def changed(entry: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    entry = copy.deepcopy(entry)
    for path, value in changes.items():
        *above, last = path.split(".")
        holder = entry
        for key in above:
            holder = holder[key]
        holder[last] = value
    return entry


def page(name: str, entries: list[dict[str, Any]], following: str = "") -> Answer:
    kind = job_of(name).check.kind
    if kind == "azure_query" and name == "service-health":
        return Answer.of_json({"count": len(entries), "data": entries, "resultTruncated": "false"})
    if kind == "azure_query":
        columns = [{"name": key, "type": "datetime"} for key in (entries or [{}])[0]]
        rows = [list(entry.values()) for entry in entries]
        return Answer.of_json({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]})
    if name == "data-factory-runs":
        return Answer.of_json({"value": entries, **({"continuationToken": following} if following else {})})
    link = "@odata.nextLink" if name == "app-registration-expiry" else "nextLink"
    return Answer.of_json({"value": entries, **({link: following} if following else {})})


async def observe(name: str, *answers: Answer) -> tuple[Observation, tuple[Failure, ...]]:
    job = job_of(name)
    async with AzureApis.open() as azure:
        azure.script = list(answers)
        observed = await azure.observe(job.check.model_dump(mode="json", by_alias=True, exclude_unset=True))
    return observed, () if observed.unknown else judge(observed, job.expect)


@pytest.mark.parametrize("name", [*GOLDEN])
async def test_an_entry_that_is_well_has_no_failure(name: str) -> None:
    entries = [] if name == "log-query" else [GOLDEN[name].good()]
    observed, failures = await observe(name, page(name, entries))
    assert (observed.unknown, failures) == ("", ()), observed


@pytest.mark.parametrize("name", [*GOLDEN])
async def test_a_bad_entry_is_named_with_its_value(name: str) -> None:
    golden = GOLDEN[name]
    _, failures = await observe(name, page(name, [changed(golden.good(), golden.bad)]))
    assert golden.words in failures[0].observed, failures


@pytest.mark.parametrize("name", [*GOLDEN])
async def test_an_empty_list_is_well_only_where_nothing_must_exist(name: str) -> None:
    _, failures = await observe(name, page(name, []))
    assert bool(failures) is (not GOLDEN[name].are_rows_names and name != "log-query")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (AzureApis.refusal(401, "InvalidAuthenticationToken"), "did not accept the token"),
        (AzureApis.refusal(403, "AuthorizationFailed"), "lacks the"),
        (AzureApis.refusal(429, "TooManyRequests", retry_after="2"), "no requests until"),
        (AzureApis.refusal(500, "InternalServerError"), "This is not the target's fault."),
    ],
)
@pytest.mark.parametrize("name", AZURE)
async def test_a_control_plane_that_refuses_leaves_the_state_unknown(name: str, answer: Answer, words: str) -> None:
    observed, _ = await observe(name, answer)
    assert observed.error is None
    assert words in observed.unknown


@pytest.mark.parametrize("name", AZURE)
async def test_a_missing_role_is_the_one_that_the_preset_names(name: str) -> None:
    preset = NO_OWN_PRESETS.find(name)
    assert preset is not None
    observed, _ = await observe(name, AzureApis.refusal(403, "AuthorizationFailed"))
    assert preset.role in observed.unknown
    assert preset.role == preset.job["check"]["role"]


@pytest.mark.parametrize("name", [name for name in GOLDEN if getattr(job_of(name).check, "first_page", True) is False])
async def test_a_second_page_counts_and_one_that_fails_leaves_the_state_unknown(name: str) -> None:
    golden, target = GOLDEN[name], job_of(name).check
    bad = changed(golden.good(), golden.bad)
    following = "token-2" if name == "data-factory-runs" else f"{target.endpoint}?$skiptoken=2"
    first = page(name, [bad], following)
    observed, failures = await observe(name, first, page(name, [golden.good()]))
    assert observed.facts["pages"] == 2
    assert bool(failures) is golden.are_rows_names or name in ("container-app", "recovery-services-backup")
    observed, _ = await observe(name, first, AzureApis.refusal(500, "InternalServerError"))
    assert observed.unknown


@pytest.mark.parametrize("name", [name for name in GOLDEN if GOLDEN[name].are_rows_names])
async def test_one_bad_entry_of_a_thousand_is_one_message(name: str) -> None:
    golden = GOLDEN[name]
    text = repr(golden.good())
    key = re.search(r"orders|smtp|mailer|vm1|ABC-1|monthly|cores|shop", text)
    assert key is not None

    def numbered(number: int, entry: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = eval(repr(entry).replace(key[0], f"{key[0]}-{number}"))  # of this file
        return made

    entries = [numbered(n, golden.good()) for n in range(999)]
    entries.append(numbered(999, changed(golden.good(), golden.bad)))
    _, failures = await observe(name, page(name, entries))
    assert failures[0].observed.startswith("1 of 1,000 "), failures


async def test_logs_that_are_old_leave_the_state_of_a_log_query_unknown() -> None:
    preset = NO_OWN_PRESETS.find("log-query")
    assert preset is not None
    check = dict(preset.fill({**preset.examples, "max_data_age": "30m"}).job["check"])
    async with AzureApis.open() as azure:
        azure.script = [page("log-query", [{"TimeGenerated": ago(hours=2)}])]
        observed = await azure.observe(check)
    assert observed.unknown


@pytest.mark.parametrize("name", built_in_names())
def test_a_preset_says_its_role_its_remedy_and_its_source(name: str) -> None:
    preset = NO_OWN_PRESETS.find(name)
    assert preset is not None
    assert preset.role
    assert preset.scope
    assert preset.runbook.endswith(".")
    assert preset.source.startswith("https://learn.microsoft.com/")
    assert preset.minimum_interval >= 30


def test_each_preset_has_a_section_and_a_row_in_the_docs() -> None:
    text = (ROOT / "docs/azure-checks.md").read_text()
    assert re.findall(r"^#### ([a-z-]+)$", text, re.MULTILINE) == list(built_in_names())
    for name in built_in_names():
        preset = NO_OWN_PRESETS.find(name)
        assert preset is not None
        assert f"| `{name}` | {preset.role} |" in text
