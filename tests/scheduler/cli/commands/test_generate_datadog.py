"""The commands `generate` with a Datadog in memory on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.datadog_api import running_datadog
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

CHECKOUT = {"schedule": "every 1m", "check": {"url": "http://127.0.0.1:9/"}, "slo": {"target": 99.9}}


def test_jobs_are_applied_and_no_key_is_in_an_output_or_a_file(
    job_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jobs(job_folder, checkout=CHECKOUT)
    out = tmp_path / "out"
    with running_datadog() as datadog:
        for name, value in {
            "DD_API_KEY": datadog.api_key,
            "DD_APP_KEY": datadog.app_key,
            "SCHEDULER_DATADOG__URL": datadog.url,
        }.items():
            monkeypatch.setenv(name, value)
        outputs = [invoke("generate", "apply", "datadog", "--out", str(out))]
        next(iter(datadog.stored["slo"].values()))["name"] = "Checkout"
        outputs.append(invoke("generate", "drift", "datadog", "--out", str(out)))
        datadog.answer_with = 403
        outputs.append(invoke("generate", "apply", "datadog", "--out", str(out)))
        outputs.append(invoke("generate", "drift", "datadog", "--out", str(out)))
    assert [output.code for output in outputs] == [0, 1, 1, 2]
    assert 'slos/objective-checkout.json\t/name\t"checkout: 99.9 % of runs (test)"\t"Checkout"' in outputs[1].stdout
    written = [output.stdout + output.stderr for output in outputs]
    written += [path.read_text() for path in out.rglob("*") if path.is_file()]
    assert not any(key in text for key in (datadog.api_key, datadog.app_key) for text in written)
