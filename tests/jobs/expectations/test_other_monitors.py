"""What blackbox_exporter, cloudprober, Gatus and uptime-kuma say of an answer, we say, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.expectations.helpers import answer, failures

_FILE = Path(__file__).parents[2] / "data" / "checks" / "answers.json"
_CASES = json.loads(_FILE.read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{n}-{case['name']}") for n, case in enumerate(_CASES)])
def test_an_answer_is_judged_as_others_judge_it(case: dict[str, Any]) -> None:
    unmet = failures(answer(**case["answer"]), *case["expect"])
    assert (not unmet) is case["holds"], unmet
