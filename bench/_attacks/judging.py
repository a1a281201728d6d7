"""Jobs whose judgement costs more than the answer: many entries, large documents, slow patterns."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from bench._attacks.harness import Attack, Scene, serving

SIZE = 16 * 1024 * 1024
MAX_ENTRIES = 50

_BODIES = {
    b"/text": lambda: b"a" * 20_000,
    b"/objects": lambda: b"[" + b",".join([b"{}"] * 9_000) + b"]",
    b"/lists": lambda: b"[" + b"[]," * (SIZE // 3 - 2) + b"[]]",
    b"/numbers": lambda: b"[" + b"1," * (SIZE // 2 - 2) + b"1]",
    b"/letters": lambda: b"a" * SIZE,
}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    body = _BODIES[head.split()[1]]()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body))
    writer.write(body)
    await writer.drain()


class _Judged(Attack):
    """`path`: what the jobs ask; `expect`: what they expect of it; `count`: how many there are."""

    path: ClassVar[str]
    expect: ClassVar[list[dict[str, Any]]]
    count: ClassVar[int] = 1
    says: ClassVar[str]
    """Stands in the message of each of its runs."""

    def server(self) -> AbstractContextManager[str]:
        return serving(_answer)

    def jobs(self, url: str) -> Mapping[str, Any]:
        check = {"url": f"{url}{self.path}", "read_limit": "16MiB"}
        job = {"schedule": {"every": "1s"}, "check": check, "expect": self.expect, "retry": {"attempts": 1}}
        return {f"{self.name}-{number}": job for number in range(self.count)}

    def problems(self, scene: Scene) -> Iterator[str]:
        """Its runs must have failed, and say why."""
        with urllib.request.urlopen(f"{scene.scheduler.url}/api/runs?job={self.name}-0", timeout=10) as answer:
            runs = json.load(answer)["runs"]
        ended = [run for run in runs if run["outcome"] in ("succeeded", "failed", "timed_out")]
        if not ended:
            yield "none of its runs has ended"
        for run in ended:
            if run["outcome"] == "succeeded" or self.says not in run["message"]:
                yield f"{run['outcome']}: {run['message'][:200]}"
                return


class ManyRegexes(_Judged):
    """A job of 50 patterns that go back and forth over 20 KB."""

    name = "many-regexes"
    path = "/text"
    expect: ClassVar = [{"body_matches": f"(a|aa)+{number}"} for number in range(MAX_ENTRIES)]
    says = "judgement: expected a decision on 50 entries"


class ManyJsonPaths(_Judged):
    """A job of 50 JSONPath filters that go over the document again and again."""

    name = "many-jsonpaths"
    path = "/objects"
    expect: ClassVar = [{"json": f"$[?$..a{number}]", "exists": False} for number in range(MAX_ENTRIES)]
    says = "judgement: expected a decision on 50 entries"


class ManyCel(_Judged):
    """A job of 50 expressions over each item of a document."""

    name = "many-cel"
    path = "/objects"
    expect: ClassVar = [{"cel": f"json.all(x, size(json) + {number} == 0)"} for number in range(MAX_ENTRIES)]
    says = "cel: expected"


class LargeJson(_Judged):
    """Ten jobs get 16 MiB of JSON lists."""

    name = "large-json"
    path = "/lists"
    expect: ClassVar = [{"json": "$[0]", "exists": True}]
    count = 10
    says = ""


class LargeJsonCel(_Judged):
    """A job evaluates an expression over 16 MiB of JSON numbers."""

    name = "large-json-cel"
    path = "/numbers"
    expect: ClassVar = [{"cel": "json[0] == 1"}]
    says = "JSON of more than 1000000 values"


class SlowPatterns(_Judged):
    """A job searches 16 MB for patterns for which the library seldom checks its deadline."""

    name = "slow-patterns"
    path = "/letters"
    expect: ClassVar = [{"body_matches": pattern} for pattern in ("(?=.*b)", "a++b", "[[a-z]--[aeiou]]*q")]
    says = "judgement: expected a decision on 3 entries"


ATTACKS = (ManyRegexes(), ManyJsonPaths(), ManyCel(), LargeJson(), LargeJsonCel(), SlowPatterns())
