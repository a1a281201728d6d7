"""`secrets` and `secrets refresh`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs


@pytest.fixture(autouse=True)
def _jobs(job_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = {"url": "http://127.0.0.1:9/", "auth": {"kind": "bearer", "token": {"secret": "checkout-token"}}}
    write_jobs(job_folder, checkout_api={"schedule": "every 1m", "check": check})
    monkeypatch.setenv("SCHEDULER_SECRET_CHECKOUT_TOKEN", "the-value")


def test_the_secrets_that_jobs_use_are_listed_with_their_origin_and_never_their_value() -> None:
    output = invoke("secrets")
    names, row = (line.split("\t") for line in output.lines)
    reported = dict(zip(names, row, strict=True))
    assert (reported["name"], reported["source"], reported["state"], reported["jobs"]) == (
        "checkout-token",
        "the variable SCHEDULER_SECRET_CHECKOUT_TOKEN",
        "available",
        "checkout-api",
    )
    assert "checkout-token" in invoke("secrets", terminal=True).stdout
    assert json.loads(invoke("secrets", "--json").stdout)["secrets"][0]["name"] == "checkout-token"
    assert "the-value" not in output.stdout + output.stderr


def test_a_secret_that_cannot_be_had_reports_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCHEDULER_SECRET_CHECKOUT_TOKEN")
    assert "unavailable: secret checkout-token: the variable" in invoke("secrets").stdout


def test_a_secret_is_read_again() -> None:
    output = invoke("secrets", "refresh", "checkout-token")
    assert (output.code, output.lines) == (0, ["checkout-token will be read again within 15 seconds; here: available"])
    assert json.loads(invoke("secrets", "refresh", "checkout-token", "--json").stdout)["error"] == ""


def test_a_secret_that_no_job_uses_is_missing() -> None:
    output = invoke("secrets", "refresh", "nobodys")
    assert (output.code, output.stdout) == (1, "")
    assert "no job uses a secret named 'nobodys'; `secrets` lists the secrets that jobs use" in output.stderr


def test_without_secrets_there_are_none_to_list(job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api={"schedule": "every 1m", "check": {"url": "http://127.0.0.1:9/"}})
    assert "no job uses a secret" in invoke("secrets").stderr


def test_the_hosts_that_may_get_a_secret_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("secrets").lines[1].endswith("\tany (no rule)")
    monkeypatch.setenv("SCHEDULER_SECRETS__UNBOUND", "deny")
    assert invoke("secrets").lines[1].endswith("\tnone")
    rule = {"hosts": ["*.internal", "127.0.0.1"], "tags": ["team:checkout"]}
    monkeypatch.setenv("SCHEDULER_SECRETS__ALLOW", json.dumps({"Checkout_*": rule}))
    assert invoke("secrets").lines[1].endswith("\t*.internal, 127.0.0.1 (jobs with team:checkout)")
    (reported,) = json.loads(invoke("secrets", "--json").stdout)["secrets"]
    assert (reported["hosts"], reported["tags"]) == (["*.internal", "127.0.0.1"], ["team:checkout"])


def test_rules_for_the_jobs_as_they_are_are_printed(job_folder: Path) -> None:
    assert invoke("secrets", "rules").lines == ["secrets:", "  allow:", "    checkout-token: [127.0.0.1]"]
    assert invoke("secrets", "rules", "--variables").lines == [
        """SCHEDULER_SECRETS__ALLOW='{"checkout-token": ["127.0.0.1"]}'"""
    ]
    vault = {"kind": "managed_identity", "scope": "https://vault.azure.net/.default"}
    write_jobs(job_folder, vault={"check": {"url": "https://a.vault.azure.net/", "auth": vault}})
    output = invoke("secrets", "rules")
    assert (output.code, output.stdout) == (0, "")
    assert "skipped: https://vault.azure.net/.default, because its token opens key vaults" in output.stderr
    assert "no job sends a secret or a token" in output.stderr
