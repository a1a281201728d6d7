"""Each preset of the product, by answers like the examples of Azure's REST specifications.

The table of tests/data/azure/preset_answers.json states the verdict and the message of each case: what is found, and
never that a target is down because its control plane refuses, fails or is silent.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from config.presets.library import NO_OWN_PRESETS, built_in_names
from jobs.runs import Outcome, Run
from tests.config.presets.golden_answers import FILE, GOLDEN, ROOT, changed, job_of, page, pages, run
from tests.parts.azure_apis import AzureApis
from tests.parts.http_server import Answer

REFUSALS = ("401", "403", "429", "500", "timeout")
CASES = ("good", "bad", *REFUSALS, "empty page", "second page", "page that fails", "stale", "1,000 entries")
LATE = AzureApis.refusal(500, "Late")


async def run_case(name: str, case: str) -> Run:
    golden = GOLDEN[name]
    good, bad = golden.good(), golden.bad()
    following = "token-2" if golden.shape in ("post", "objects") else f"{job_of(name).check.endpoint}?$skiptoken=2"
    match case:
        case "good" | "bad":
            return await run(name, *pages(name, good if case == "good" else bad))
        case "timeout":
            return await run(name, Answer(gate=asyncio.Event()), timeout={"attempt": "300ms"})
        case "empty page":
            return await run(name, page(name, []))
        case "second page":
            return await run(name, page(name, [good], following), page(name, [golden.numbered(bad, 2)]))
        case "page that fails":
            return await run(name, page(name, [bad], following), LATE)
        case "stale":
            entry = changed(good, golden.stale.get("entry", {}))
            return await run(name, page(name, [entry], age="AGO 3h"), values=golden.stale.get("with", golden.values))
        case "1,000 entries":
            entries = [golden.numbered(good, number) for number in range(999)]
            return await run(name, page(name, [*entries, golden.numbered(bad, 999)]))
    headers = {"retry_after": "120"} if case == "429" else {}
    return await run(name, AzureApis.refusal(int(case), "No", **headers))


def verdict_of(finished: Run) -> str:
    if finished.outcome is Outcome.SKIPPED:
        return str(finished.reason)
    return "down" if finished.outcome.down else "degraded" if finished.degraded else "up"


def stated(name: str, case: str) -> Any:
    """The verdict and the message, or why the case does not apply."""
    says = GOLDEN[name].says[case]
    if isinstance(says, str):
        return says
    verdict, message = says
    return verdict, message.format(host=job_of(name).check.host, lacks=GOLDEN[name].lacks)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", built_in_names())
async def test_the_verdict_and_the_message_are_those_of_the_table(name: str, case: str) -> None:
    says = stated(name, case)
    if isinstance(says, str):
        assert says.startswith("none: ")
        return
    finished = await run_case(name, case)
    assert verdict_of(finished) == says[0], finished.message
    assert says[1] in finished.message
    assert (finished.message == "") is (says[0] == "up")


@pytest.mark.parametrize("name", built_in_names())
def test_a_control_plane_that_refuses_is_unknown_in_the_table_of_every_preset(name: str) -> None:
    assert {case: stated(name, case)[0] for case in REFUSALS} == dict.fromkeys(REFUSALS, "unknown")
    assert set(GOLDEN[name].says) == set(CASES)


def test_the_table_names_where_each_answer_comes_from() -> None:
    assert list(FILE["presets"]) == list(built_in_names())
    assert all(known["source"] for known in FILE["presets"].values())


@pytest.mark.parametrize("name", built_in_names())
def test_a_missing_role_is_the_one_that_the_preset_names(name: str) -> None:
    preset = NO_OWN_PRESETS.find(name)
    assert preset is not None
    assert preset.role == preset.job["check"]["role"]
    assert f" {preset.role}" in GOLDEN[name].lacks


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
