"""`keys`: the first key is created before the first start, and its text is printed once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scheduler.identity.api_keys import API_KEY_PATTERN
from tests.scheduler.cli.invocation import invoke


def test_a_key_is_created_listed_rotated_and_revoked(job_folder: Path) -> None:
    (job_folder / "broken.yaml").write_text("jobs: [")
    created = invoke("keys", "create", "deploy", "--role", "operator", "--tag", "team:payments", "--expires", "90d")
    assert created.code == 0, created.stderr
    text = created.stdout.strip()
    assert re.fullmatch(API_KEY_PATTERN, text)

    rotated = invoke("keys", "rotate", "deploy", "--overlap", "2h")
    assert re.fullmatch(API_KEY_PATTERN, rotated.stdout.strip())
    assert "ends at" in rotated.stderr
    revoked = invoke("keys", "revoke", text.split("_")[2])
    assert revoked.code == 0

    listed = invoke("keys")
    head, *rows = [line.split("\t") for line in listed.stdout.splitlines()]
    found = [dict(zip(head, row, strict=True)) for row in rows]
    assert [(row["name"], row["role"], row["tags"], row["state"]) for row in found] == [
        ("deploy", "operator", "team:payments", "active"),
        ("deploy", "operator", "team:payments", "revoked"),
    ]
    as_json = json.loads(invoke("keys", "list", "--json").stdout)["keys"]
    assert [key["active"] for key in as_json] == [True, False]
    for output in (listed.stdout, json.dumps(as_json)):
        assert text not in output


def test_a_name_revokes_every_key_that_rotates(job_folder: Path) -> None:
    assert invoke("keys", "create", "deploy", "--role", "operator").code == 0
    assert invoke("keys", "rotate", "deploy").code == 0

    revoked = invoke("keys", "revoke", "deploy")

    assert (revoked.code, len(revoked.stdout.splitlines())) == (0, 2)
    assert [key["active"] for key in json.loads(invoke("keys", "list", "--json").stdout)["keys"]] == [False, False]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("create", "deploy", "--role", "admn"),
            2,
            "--role: 'admn' is not allowed, did you mean admin? allowed: metrics, viewer",
        ),
        (("create", "deploy", "--role", "admin", "--tag", "team"), 2, "write team:payments"),
        (("create", "a b", "--role", "admin"), 2, "name: is not a name"),
        (("create", "deploy", "--role", "admin", "--address", "here"), 2, "addresses: 'here'"),
        (("revoke", "deploy"), 1, "there is no API key 'deploy'"),
    ],
)
def test_a_wrong_argument_ends_the_command(
    job_folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = invoke("keys", *arguments)

    assert (done.code, done.stdout) == (code, "")
    assert message in done.stderr


def test_if_none_creates_a_key_only_while_none_is_active(job_folder: Path) -> None:
    words = ("keys", "create", "admin", "--role", "admin", "--if-none")
    assert re.fullmatch(API_KEY_PATTERN, invoke(*words).stdout.strip())
    again = invoke(*words)
    assert (again.code, again.stdout, again.stderr) == (0, "", "no key was created: one is active\n")
    invoke("keys", "revoke", "admin")
    assert re.fullmatch(API_KEY_PATTERN, invoke(*words).stdout.strip())
