"""The commands of docs/first-deployment.md: ours are parsed or run, those of Azure have the arguments of its CLI.

Step 6, keys and canary, is run as printed against a server with own authentication, whose administrator's key stands
for the token of Entra ID.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

import container.main
import delivery.main
from tests.docs.pages import TEXTS, typed
from tests.parts import missing
from tests.parts.proc import Program, clean_environment, free_port, run
from tests.pipeline.azure.commands import parse
from tests.project import ROOT

PAGE = TEXTS["docs/first-deployment.md"]
LINES = list(typed(PAGE))
REFERENCE = json.loads((ROOT / "tests" / "data" / "azure" / "az_arguments.json").read_text(encoding="utf-8"))[
    "commands"
]


def azure_commands() -> list[list[str]]:
    """The words after `az`, also of those in `$(...)`; without `az login`, which asks a person."""
    texts = [
        text for line in LINES for text in ([line] if line.startswith("az ") else re.findall(r"\$\((az [^)]*)\)", line))
    ]
    return [words for text in texts if (words := shlex.split(text)[1:]) != ["login"]]


@pytest.mark.parametrize("words", azure_commands(), ids=" ".join)
def test_the_azure_cli_has_a_command_with_these_arguments(words: list[str]) -> None:
    command = parse(words)
    known = REFERENCE[command.words]
    assert set(command.options) <= set(known["accepted"])
    assert set(known["required"]) <= set(command.options)
    files = [word.removeprefix("@") for word in words if word.startswith(("@", "infra/"))]
    assert [name for name in files if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("infra/pipeline/")])
def test_a_script_of_the_pipeline_takes_these_arguments(line: str) -> None:
    script, *arguments = shlex.split(line.partition(" > ")[0])
    name = script.rpartition("/")[2]
    if name == "image":
        container.main.make_parser().parse_args(arguments)
    else:
        options = delivery.main._parse(name, arguments)
        assert (ROOT / "infra" / "environments" / f"{options.environment}.json").exists()


def test_the_page_has_the_commands_of_every_step() -> None:
    steps = re.split(r"^## ", PAGE, flags=re.M)[1:]
    assert [step.partition(".")[0] for step in steps] == [*"12345678", steps[-1].partition(".")[0]]
    assert len(azure_commands()) >= 15
    assert all("```sh\n" in step for step in steps[:8])


def test_the_roles_of_entra_are_those_of_the_sample_parameters_and_the_page() -> None:
    roles = json.loads((ROOT / "infra" / "entra" / "roles.json").read_text(encoding="utf-8"))
    ids = {one["value"]: one["id"] for one in roles}
    for file in (ROOT / "infra" / "bicep" / "parameters").glob("*.bicepparam"):
        found = re.search(r"SCHEDULER_HTTP__ENTRA__ROLES: '(.+)'", file.read_text(encoding="utf-8"))
        assert found is None or json.loads(found[1]).keys() == ids.keys(), file.name
    assert ids["Scheduler.Admin"] in PAGE
    scope = json.loads((ROOT / "infra" / "entra" / "scope.json").read_text(encoding="utf-8"))["api"]
    client = json.loads((ROOT / "infra" / "entra" / "azure-cli.json").read_text(encoding="utf-8"))["api"]
    (allowed,) = client["preAuthorizedApplications"]
    assert allowed["delegatedPermissionIds"] == [one["id"] for one in scope["oauth2PermissionScopes"]]


class Served(NamedTuple):
    """A server with own authentication, and the key of its administrator."""

    url: str
    token: str


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    (tmp_path / "jobs").mkdir()
    port = free_port()
    variables = {
        "SCHEDULER_ENVIRONMENT": "prod",
        "SCHEDULER_JOBS": str(tmp_path / "jobs"),
        "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'scheduler.db'}",
        "SCHEDULER_TARGETS__NETWORKS": "127.0.0.0/8",
    }
    created = await run("keys", "create", "first", "--role", "admin", "--json", env=variables, cwd=tmp_path)
    async with Program("serve", "--port", str(port), env=variables, cwd=tmp_path) as program:
        url = f"http://127.0.0.1:{port}"
        await program.ready(f"{url}/api/health/ready")
        yield Served(url, json.loads(created.stdout)["key"])


async def test_the_steps_5_and_6_lead_to_three_keys_and_a_canary(served: Served, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        missing("curl is not installed")
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    steps = PAGE[PAGE.index("## 5. ") : PAGE.index("## 7. ")]
    lines = [line for line in typed(steps) if not line.startswith("export ")]
    assert len(lines) == 6
    environment = clean_environment({"URL": served.url, "TOKEN": served.token})
    printed = ""
    for line in lines:
        text = line.replace("./dev cli", f"{sys.executable} -m scheduler").replace("curl ", "curl --fail --silent ")
        process = await asyncio.create_subprocess_shell(
            text, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
        )
        printed += (await process.communicate())[0].decode()
        assert process.returncode == 0, line

    keys = dict(zip(("plan", "release-read", "release"), re.findall(r'"key": ?"(sch_\w+)"', printed), strict=True))
    started = {name: await start_canary(served.url, key) for name, key in keys.items()}
    assert {name: status for name, (status, _) in started.items()} == {"plan": 403, "release-read": 403, "release": 200}
    assert started["release"][1]["outcome"] == "succeeded"
    (tmp_path / "copy.yaml").write_text('jobs: {shop: {check: {url: "https://example.com/"}}}', encoding="utf-8")
    options = ("--url", served.url, "--key-variable", "PLAN_KEY")
    planned = await run("plan", "copy.yaml", *options, env={"PLAN_KEY": keys["plan"]}, cwd=tmp_path)
    assert (planned.code, "canary" in planned.stdout) == (3, False), planned.stdout + planned.stderr
    assert await recorded_kinds(served, "api_key:plan") == {"refusal"}  # of the canary: a plan changes nothing


async def recorded_kinds(served: Served, principal: str) -> set[str]:
    """The kinds of the entries of the audit trail about a caller."""
    async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=60) as client:
        answer = await client.get("/api/audit?limit=500", headers={"X-API-Key": served.token})
        return {entry["kind"] for entry in answer.json()["entries"] if entry["principal"] == principal}


async def start_canary(url: str, key: str) -> tuple[int, dict[str, str]]:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
        answer = await client.post("/api/jobs/canary/run?wait=30s", headers={"X-API-Key": key})
        return answer.status_code, answer.json()
