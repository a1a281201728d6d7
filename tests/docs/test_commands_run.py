"""Every printed command of README.md, docs and runbooks does what a reader expects: it is run, beside a server.

The server has the job of README.md, the sample jobs, and those jobs that the other pages speak of. What cannot be
run here stands in NOT_RUN, each with its reason.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import uvicorn

from scheduler.hosts.embedded.server import SampleTarget
from tests.docs.pages import ROOT, TEXTS, Printed, printed_commands
from tests.parts import missing
from tests.parts.proc import Program, free_port
from tests.scheduler.cli.invocation import CommandResult, invoke_concurrently

PAGES = tuple(page for page in TEXTS if re.fullmatch(r"[A-Z]+\.md|docs/(?!api|first-)(runbooks/)?[\w-]+\.md", page))
"""All but the pages that test_api_page.py, test_first_ten_minutes.py and test_first_deployment.py run."""

NOT_RUN = (
    (r"az ", "needs a subscription of Azure"),
    (
        r"python -m scheduler store upgrade",
        "needs the server stopped; tests/scheduler/cli/commands/test_backup.py runs it",
    ),
    (r"python -m scheduler store move ", "needs a storage account; tests/acceptance/test_store_moves.py does it"),
    (r"python -m scheduler backup (create|list|verify) .*azure://", "needs a storage account"),
    (r"python -m scheduler backup restore .*(--replace|azure:)", "needs the server stopped, or a storage account"),
    (r"(zcat|sha256sum) ", "a program that this project does not bring, or needs the files of a release"),
    (r"([A-Z_]+=\S+ )*(docker|kubectl|npm|node|func|cosign) ", "a program that this project does not bring"),
    (r"sqlite3 ", "SQLite's own shell"),
    (r"(sudo|pip|pipx|uvx|helm|scheduler) ", "needs an installed program; tests/infra/packaging installs it"),
    (r"python -m scheduler gate ", "takes ten minutes; tests/scheduler/cli/commands/test_gate.py runs it in seconds"),
    (r"python -m scheduler import ", "needs files of another tool; tests/config/importers imports them"),
    (r"python -m scheduler discover ", "needs Azure; tests/scheduler/cli/commands/test_discover.py runs it"),
    (r"curl (-d @-|-H .* https://(healthchecks\.io|api\.datadoghq\.com)/)", "is a command of another tool's users"),
    (
        r"python -m scheduler generate (apply|drift) ",
        "needs the tool; tests/scheduler/cli/commands/test_generate.py runs it",
    ),
    (r"python -m scheduler profile ", "changes the profiles of the reader; tests/scheduler/cli/reach/test_profiles.py"),
    (r"openssl ", "makes a key in the reader's folder"),
    (r"\./dev infra ", "installs checkov; tests/infra tests it"),
    (r"(cp|cd|export) ", "changes the reader's folder or console"),
    (r"infra/pipeline/", "needs a subscription of Azure; tests/pipeline runs the scripts"),
    (r"(TEST_AXE=all )?\./dev (test|check|image)\b", "runs tests or checks"),
    (
        r"(\w+=\S+ )*(\./dev run|python -m scheduler serve)\b",
        "serves until it is ended, as the server of this test does",
    ),
    (r"(\./dev cli|python -m scheduler) ARGS", "ARGS stands for other words"),
)

EXIT_CODES = (
    (r"SCHEDULER_ENVIRONMENT=prd ", 2),
    (r"DD_API_KEY_FILE=", 2),
    (r"SCHEDULER_ENVIRONMENT=prod \./dev cli run ", 1),
    (r"\./dev cli run failing-api", 1),
    (r"python -m scheduler cancel ", 1),  # its run ended long ago
    (
        r"python -m scheduler incidents (show|decisions|bundle|acknowledge|snooze|unacknowledge|note|resolve) ",
        1,
    ),  # of another time
    (r"python -m scheduler (silences|windows) (end|delete) ", 1),
    (r"python -m scheduler channels (undelivered|retry|discard) ", 1),
    (r"python -m scheduler keys rotate ", 1),  # docs/access.md has rotated and revoked it
    (r"python -m scheduler plan jobs/ ", 0),  # the files of the server
    (r"python -m scheduler plan ", 3),
    (r"python -m scheduler apply .* --plan-hash ", 1),  # of another plan
)
"""Of commands that do not end with 0, as their page says."""

UNDONE_BY = (
    ("pause checkout-api", ("resume", "checkout-api")),
    ("circuits open checkout-api", ("circuits", "reset", "checkout-api")),
    ("circuits close checkout-api", ("circuits", "reset", "checkout-api")),
)
"""What the others must not see."""

SAME_OUTPUT = (r"\./dev cli next '", r"SCHEDULER_ENVIRONMENT=prd ", r"DD_API_KEY_FILE=")
"""Commands whose output follows from their words alone: it is as printed."""

PLACEHOLDERS = {"JOB": "checkout-api", "NAME": "checkout-token", "ID": "1795866766058-f6cf172e"}

JOBS = """
jobs:
  nightly-backup:
    check: {kind: heartbeat, token: {secret: nightly-backup-token}, period: 24h}
  payments-api:
    check: {url: "http://127.0.0.1:7071/api/health/live", auth: {kind: bearer, token: {secret: checkout-token}}}
    circuit: {consecutive_failures: 5, group: payments}
  checkout-orders:
    check: {url: "http://127.0.0.1:7071/api/health/live"}
    tags: {team: payments}
  shop:
    check: {url: "http://127.0.0.1:7071/api/health/live"}
  shop-eu:
    check: {url: "http://127.0.0.1:7071/api/health/live"}
  ledger:
    check: {url: "http://127.0.0.1:7071/api/health/live"}
alerting:
  rules: [{select: {all: true}, alerts: []}]
objectives:
  shop: {select: {all: true}, target: 99.5}
"""
SET = """
jobs:
  reports-api:
    check: {url: "http://127.0.0.1:7071/api/health/live"}
"""
"""Of `plan` and `apply`."""
TOKEN = "a-token-of-nightly-backup-0123456789"
PRINTED_SERVER = "127.0.0.1:7071"


def all_commands() -> list[Printed]:
    """Each command once, where it stands first."""
    found: dict[str, Printed] = {}
    for page in PAGES:
        for printed in printed_commands(page):
            found.setdefault(printed.command.partition("  #")[0].strip(), printed)
    return list(found.values())


def is_skipped(printed: Printed) -> bool:
    return any(re.match(pattern, printed.command) for pattern, _ in NOT_RUN)


def of_this_program(words: list[str]) -> list[str] | None:
    """The arguments of a command of ours; None for another program's."""
    for start in (["./dev", "cli"], ["python", "-m", "scheduler"]):
        if words[: len(start)] == start:
            return words[len(start) :]
    return None


class Host:
    """A server with jobs, and what commands need to find it."""

    def __init__(self, port: int, environment: dict[str, str]) -> None:
        self.server = f"127.0.0.1:{port}"
        self.environment = environment
        jobs = environment["SCHEDULER_JOBS"]
        self._folder = Path(jobs).parent
        self.working_folder = self._folder / "working"
        self.working_folder.mkdir()
        for each in ROOT.iterdir():  # commands that write files do not write them into the project
            (self.working_folder / each.name).symlink_to(each)
        files = {
            "checkout.yaml": f"{jobs}/readme.yaml",
            "jobs/": jobs,
            "results.xml": str(self._folder / "results.xml"),
            "exported/": str(self._folder / "exported"),
            "jobs/a.yaml": f"{jobs}/readme.yaml",
            "jobs/reports.yaml": str(self._folder / "reports.yaml"),
            "monitoring/prod": str(self._folder / "monitoring"),
            "backup.jsonl.gz": str(self._folder / "backup.jsonl.gz"),
            "/backups/scheduler.jsonl.gz": str(self._folder / "backup.jsonl.gz"),
            "sqlite:///restored.db": f"sqlite:///{self._folder}/restored.db",
            "sqlite:///practice.db": f"sqlite:///{self._folder}/practice.db",
        }
        self.placeholders = {**PLACEHOLDERS, "PATH": jobs, "config/jobs": jobs, **files}
        self._anchor = ""
        self._client = httpx.AsyncClient(base_url=f"http://{self.server}", timeout=30)

    async def here(self, text: str) -> str:
        """The text with what is different here: the server, run ids, and intervals, which end now."""
        text = text.replace(PRINTED_SERVER, self.server)
        text = re.sub(r" -o (\S+)", lambda output: f" -o {self._folder / output[1]}", text)
        for job, run_id in re.findall(r"\b([a-z-]+)@(\d{8}T\d{6}\.\d{3}Z(?:\.\w+)?)", text):
            text = text.replace(f"{job}@{run_id}", await self.finished_run(job))
        if "--anchor" in text:
            text = re.sub(r"--anchor \S+", f"--anchor {await self.audit_head()}", text)
        now = datetime.now(UTC)
        for option, instant in (("--from", now - timedelta(seconds=1)), ("--to", now)):
            if " backfill " in text:
                text = re.sub(rf"{option} \S+", f"{option} {instant:%Y-%m-%dT%H:%M:%SZ}", text)
        return text

    def filled_in(self, arguments: list[str]) -> list[str]:
        """With something that exists in place of JOB and the like."""
        words = self.placeholders | ({"JOB": "nightly-backup"} if arguments[0] == "heartbeat" else {})
        return [words.get(word, word) for word in arguments]

    def redirect(self, file: str) -> Path:
        """The file for what a command writes, which later commands read under its printed name."""
        self.placeholders[file] = str(self._folder / file)
        return self._folder / file

    async def audit_head(self) -> str:
        """The first head of the audit trail that was requested, as an anchor."""
        if not self._anchor:
            self._anchor = str((await self._client.get("/api/audit/head")).json()["anchor"])
        return self._anchor

    async def finished_run(self, job: str) -> str:
        run = (await self._client.post(f"/api/jobs/{job}/run", params={"wait": "20s"})).json()
        return str(run["id"])

    async def aclose(self) -> None:
        await self._client.aclose()


@asynccontextmanager
async def sample_target() -> AsyncIterator[str]:
    """The target of the sample jobs, on this test's loop."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = SampleTarget()
        server = uvicorn.Server(uvicorn.Config(target.app(), log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        target.close()
        server.should_exit = server.force_exit = True
        await serving


def write_jobs(folder: Path, server: str, target: str) -> None:
    folder.mkdir()
    for sample in (ROOT / "config/jobs/samples").iterdir():
        (folder / sample.name).write_text(sample.read_text().replace("${SAMPLE_TARGET}", target))
    readme = re.findall(r"^```yaml\n(.*?)^```", TEXTS["README.md"], re.DOTALL | re.MULTILINE)
    for name, text in (("readme.yaml", readme[0]), ("operating.yaml", JOBS), ("../reports.yaml", SET)):
        (folder / name).write_text(text.replace(PRINTED_SERVER, server))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    folder, port = tmp_path_factory.mktemp("host"), free_port()
    environment = {
        "SCHEDULER_ENVIRONMENT": "dev",
        "SCHEDULER_JOBS": str(folder / "jobs"),
        "SCHEDULER_STORE": f"sqlite:///{folder / 'state.db'}",
        "SCHEDULER_HTTP__PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SCHEDULER_SECRET_CHECKOUT_TOKEN": "a-token-of-checkout",
        "SCHEDULER_SECRET_NIGHTLY_BACKUP_TOKEN": TOKEN,
    }
    host = Host(port, environment)
    async with sample_target() as target:
        write_jobs(folder / "jobs", host.server, target)
        async with Program("serve", "--port", str(port), env=environment) as program:
            await program.ready(f"http://{host.server}/api/health/ready")
            yield host
            await host.aclose()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("printed", [one for one in all_commands() if not is_skipped(one)], ids=str)
async def test_a_printed_command_does_what_it_is_printed_for(
    printed: Printed, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(host.working_folder)
    for name, value in {**host.environment, "TOKEN": TOKEN, "TZ": "UTC"}.items():
        monkeypatch.setenv(name, value)
    line = await host.here(printed.command)
    if re.match(r"curl ", line):
        await send_request(printed, line, host)
        return
    words = shlex.split(line, comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    words = words[: next((at for at, word in enumerate(words) if word == "|"), len(words))]
    redirected = words.pop() if words[-2:-1] == [">"] else None
    words = words[:-1] if redirected else words
    arguments = of_this_program(words)
    assert arguments is not None, (
        f"{printed}\nis no command that this test can run: add it, or to NOT_RUN with a reason"
    )
    message = await invoke_concurrently(*host.filled_in(arguments))
    if redirected is not None:
        host.redirect(redirected).write_text(message.stdout)
    for begin, undoing in UNDONE_BY:
        if " ".join(arguments).startswith(begin):
            await invoke_concurrently(*undoing)
    judge(printed, line, message)


def judge(printed: Printed, line: str, message: CommandResult) -> None:
    expected = next((code for pattern, code in EXIT_CODES if re.match(pattern, printed.command)), 0)
    ended = f"ended with {message.code}, expected {expected}\n{message.stdout}\n{message.stderr}"
    reported = f"{printed}\nwas run as: {line}\n{ended}"
    # On a busy machine a message may have been later than the rules require, which is a difference.
    allowed = {expected, 3} if "alerts backtest" in printed.command else {expected}
    assert message.code in allowed, reported
    assert "Traceback" not in message.stderr, reported
    if printed.output and any(re.match(pattern, printed.command) for pattern in SAME_OUTPUT):
        assert (message.stdout + message.stderr).splitlines() == list(printed.output), reported


async def send_request(printed: Printed, line: str, host: Host) -> None:
    """curl, with the status behind what it writes; 4xx only where the page shows such an answer."""
    if shutil.which("curl") is None:
        missing("curl is not installed")
    assert re.findall(r"https?://([^/'\s]+)", line) == [host.server], (
        f"{printed}\nasks another server than the documents"
    )
    requested = await asyncio.create_subprocess_shell(
        line.partition("  #")[0] + " -w '\n%{http_code}'",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await requested.communicate())[0].decode()
    reported = f"{printed}\nwas run as: {line}\nended with {requested.returncode}\n{output}"
    expected = "4" if any('"status":4' in one for one in printed.output) else "2"
    assert requested.returncode == 0, reported
    assert output.splitlines()[-1].startswith(expected), reported


def test_every_reason_not_to_run_a_command_is_needed() -> None:
    commands = [printed.command for page in PAGES for printed in printed_commands(page)]
    assert [
        pattern for pattern, _ in (*NOT_RUN, *EXIT_CODES) if not any(re.match(pattern, one) for one in commands)
    ] == []


def test_commands_are_found_with_their_place_and_their_output() -> None:
    (found,) = [one for one in all_commands() if one.command.startswith("./dev cli next '0 */5 * * * *' --count 2")]

    assert TEXTS[found.page].splitlines()[found.line - 1] == f"$ {found.command}"
    assert found.output == ("2026-11-25T03:05:00Z", "2026-11-25T03:10:00Z")
