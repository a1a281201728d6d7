"""The commands of docs/first-ten-minutes.md, as printed and in order, lead to an acknowledged message.

Ports are replaced, and `./dev` by the environment of this test; folders are those of a new project.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import TEXTS, Printed, printed_commands
from tests.parts.proc import Program, free_port, run
from tools.receiver import describe

PAGE = "docs/first-ten-minutes.md"
MAX_COMMANDS = 6
COMMANDS: list[Printed] = list(printed_commands(PAGE))
PORTS = {"7071": free_port(), "9000": free_port(), "8000": free_port()}


def local(text: str) -> str:
    """Return a text of the page with the ports of this test."""
    return re.sub(r"\b(7071|9000|8000)\b", lambda found: str(PORTS[found[0]]), text)


def settings(folder: Path) -> dict[str, str]:
    """Return what `./dev run` has in a clone; alerts are announced at once."""
    return {
        "SCHEDULER_ENVIRONMENT": "dev",
        "SCHEDULER_JOBS": str(folder / "config" / "jobs"),
        "SCHEDULER_STORE": f"sqlite:///{folder / 'data' / 'scheduler.db'}",
        "SCHEDULER_SECRETS_FOLDER": str(folder / "data" / "secrets"),
        "SCHEDULER_PORT": str(PORTS["7071"]),
        "SCHEDULER_ALERTING__GROUP_WAIT": "0s",
        "SCHEDULER_HTTP__PUBLIC_URL": local("http://127.0.0.1:7071"),
    }


async def shown(program: Program, is_shown: Callable[[str], bool], within: float = 90.0) -> str:
    """Return the output once it has what is expected."""
    try:
        async with asyncio.timeout(within):
            while not is_shown(program.stdout + program.stderr):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it is not shown: {program.state}") from None
    return program.stdout + program.stderr


def test_the_page_has_few_commands() -> None:
    assert len(COMMANDS) <= MAX_COMMANDS


async def test_the_page_leads_to_a_message_that_is_delivered_and_acknowledged(tmp_path: Path) -> None:
    serve, receive, write_secret, validate, acknowledge, repair = (each.command for each in COMMANDS)
    (tmp_path / "config" / "jobs").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    env = settings(tmp_path)
    assert serve == "SCHEDULER_HTTP__PUBLIC_URL=http://127.0.0.1:7071 ./dev run"
    assert receive == "python3 -m tools.receiver"
    async with (
        Program("serve", env=env, cwd=tmp_path) as scheduler,
        Program(local("9000"), module="tools.receiver", cwd=tmp_path) as receiver,
    ):
        await shown(scheduler, lambda text: local("Dashboard: http://127.0.0.1:7071/\n") in text)
        await shown(receiver, lambda text: local(COMMANDS[1].output[0]) in text)

        (job_file,) = re.findall(r"^```yaml\n(.*?)^```", TEXTS[PAGE], re.DOTALL | re.MULTILINE)
        (tmp_path / "config" / "jobs" / "shop.yaml").write_text(local(job_file), encoding="utf-8")
        shell = await asyncio.create_subprocess_shell(local(write_secret), cwd=tmp_path)
        assert await shell.wait() == 0
        assert validate.endswith("./dev cli validate")
        valid = await run("validate", "--strict", env=env, cwd=tmp_path)
        assert valid.code == 0, valid.stderr

        message = await shown(receiver, lambda text: "DOWN shop" in text and "/dashboard/incidents/" in text)
        incident = message.rstrip().rpartition("/")[2]
        assert re.fullmatch(r"\./dev cli incidents acknowledge \d+-[0-9a-f]{8}", acknowledge)
        done = await run("incidents", "acknowledge", incident, env=env, cwd=tmp_path)
        assert done.code == 0, done.stderr
        assert "acknowledged" in done.stdout

        words = local(repair).removeprefix("python3 -m http.server ").split()
        async with Program(*words, module="http.server", cwd=tmp_path):
            resolved = await shown(receiver, lambda text: "RESOLVED shop" in text)
    assert "RESOLVED shop, was down " in resolved


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"title": "DOWN a", "text": "b", "incident": "1-2", "link": ""}', "DOWN a\nb\n1-2\n"),
        (b'{"title": "\\u001b[2J"}', "?[2J\n"),
        (b"[1]", "[1]\n"),
        (b"\xff", "\ufffd\n"),
    ],
)
def test_the_receiver_prints_nothing_that_a_terminal_obeys(body: bytes, shown: str) -> None:
    assert describe(body) == shown
