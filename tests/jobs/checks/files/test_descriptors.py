"""A process without file descriptors does not blame the targets that it cannot ask."""

from __future__ import annotations

import json

from tests.parts.proc import run

ASK = """
import asyncio, json, os, resource, sys
import uvloop
from jobs.checks.clock import PhaseClock
from jobs.targets import HttpTarget
from tests.jobs.checks.http_check import open_http_check
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

async def main():
    async with open_http_check() as ask:
        urls = ["http://127.0.0.1:9/", "http://localhost:9/", "http://no-such-name.invalid/", "https://127.0.0.1:9/"]
        ask.check.prepare(HttpTarget(url=urls[0]))
        taken = []
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        seen = [await ask(url) for url in urls]
        for each in taken:
            os.close(each)
        print(json.dumps([[one.error, one.message] for one in seen]))
        print(json.dumps([(await ask(url)).error for url in urls]))

(uvloop if sys.argv[1] == "uvloop" else asyncio).run(main())
"""


async def test_targets_are_not_blamed_for_a_lack_of_descriptors() -> None:
    for loop in ("uvloop", "asyncio"):
        ended = await run("-c", ASK, loop, module=None)
        assert ended.code == 0, ended.stderr
        lacking, after = map(json.loads, ended.stdout.splitlines())
        assert [error for error, _ in lacking] == ["out_of_resources"] * 4
        assert all("could not be checked, because this machine lacks a resource" in message for _, message in lacking)
        refused = "connection_refused"
        assert after == [refused, refused, "dns_failure", refused]
