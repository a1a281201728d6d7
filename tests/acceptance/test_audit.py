"""The audit trail of a running program: who did what over the API and on the command line, anchored and verifiable."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

from tests.parts.host import Host, embedded, job
from tests.parts.http_target import HttpTarget
from tests.parts.proc import Program

NAMES = ("pay", "ship")


async def command(folder: Path, *words: str, code: int = 0) -> str:
    """A command next to the server; what it prints."""
    env = {
        "SCHEDULER_ENVIRONMENT": "test",
        "SCHEDULER_STORE": f"sqlite:///{folder / 'state.db'}",
        "SCHEDULER_JOBS": str(folder / "jobs"),
    }
    async with Program(*words, env=env, cwd=folder) as program:
        assert await program.exited(within=60) == code, program.state
        return program.stdout


def anchors_in(host: Host) -> list[str]:
    heads = [line for line in host.log() if line.get("Event") == "AUDIT_HEAD" and line["AuditSequence"]]
    return [f"{line['AuditSequence']}:{line['AuditHash']}" for line in heads]


async def pause_and_resume(host: Host, name: str, times: int) -> int:
    """How many requests were answered."""
    answered = 0
    for number in range(times):
        for verb in ("pause", "resume"):
            answer = await host.client.post(
                f"/api/jobs/{name}/{verb}", headers={"X-Request-ID": f"{name}-{verb}-{number}"}
            )
            assert answer.status_code == 200
            answered += 1
    return answered


async def test_changes_of_a_killed_and_of_a_stopped_server_and_of_commands_are_one_valid_chain(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        target.on("/health", 200)
        jobs = {name: job(f"{target.url}/health") for name in NAMES}
        async with embedded(tmp_path, jobs) as host:
            await asyncio.gather(*(pause_and_resume(host, name, 10) for name in NAMES))
            host.program.signal(signal.SIGKILL)
            await host.program.exited(within=60)
        await command(tmp_path, "pause", "pay", "--reason", "deployment")
        async with embedded(tmp_path, jobs) as host:
            await host.run("ship")
            entries: list[dict[str, Any]] = (await host.get("/api/audit?limit=100"))["entries"]
            await host.stop()
            anchor = anchors_in(host)[-1]

    run, pause, *earlier = (entry for entry in entries if entry["source"] != "files")
    assert (run["action"], pause["action"], pause["after"]["reason"]) == ("job.run", "job.pause", "deployment")
    assert pause["principal"].startswith("command_line:")
    assert {entry["request_id"] for entry in earlier} == {
        f"{name}-{verb}-{number}" for name in NAMES for verb in ("pause", "resume") for number in range(10)
    }
    said = await command(tmp_path, "audit", "verify", "--anchor", anchor)
    assert said.splitlines()[0] == f"valid: {len(entries)} entries, 1 to {len(entries)}"
    exported = tmp_path / "audit.jsonl"
    exported.write_text(await command(tmp_path, "audit", "export"))
    await command(tmp_path, "audit", "verify", "--file", str(exported), "--anchor", anchor)
    lines = exported.read_text().splitlines(keepends=True)
    exported.write_text("".join(lines[:-1]))
    await command(tmp_path, "audit", "verify", "--file", str(exported), "--anchor", anchor, code=1)
