"""The HTML of every page of a scheduler in use, as a snapshot: moving code must not change it."""

from __future__ import annotations

import re

from syrupy.assertion import SnapshotAssertion

from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.every_page.page_list import list_addresses
from tests.scheduler.api.dashboard.every_page.states import HTML
from tests.scheduler.api.dashboard.every_page.world import PLAIN, fill, jobs_of

MAX_CHARACTERS = 20_000
"""Of a page. What follows repeats it: messages of all channels, cells of a schedule."""
_LENGTH = r"\d+(?:\.\d+)? (?:d|h|min|ms|s)\b"
_VARIES = re.compile(
    rf"<svg.*?</svg>|(?<=>)[^<>]*(?=</time>)|\b[0-9a-f]{{8,64}}\b|{_LENGTH}(?:(?: to | ){_LENGTH})?|\d+(?:\.\d+)?",
    re.DOTALL,
)
"""Charts and times, ids and digests, and what is measured."""


async def test_the_html_of_every_page(text_snapshot: SnapshotAssertion) -> None:
    async with ApiClient(jobs=jobs_of(PLAIN)) as client:
        # What these show depends on measured durations.
        measured = ("/schedule", "/slowest")
        addresses = [each for each in list_addresses(await fill(client)) if not each.endswith(measured)]
        key = (await client.get("/api/keys")).json()["keys"][0]["id"]
        texts = [(await client.request("GET", address, headers=HTML)).text for address in addresses]

    pages = [text.replace(key, "KEY") for text in texts]
    frame = re.sub(r"<main.*?</main>", "<main></main>", pages[0], flags=re.DOTALL)
    contents = [page[page.index("<main") : page.index("</main>")] for page in pages]
    parts = [frame, *(f"{address}\n{content}" for address, content in zip(addresses, contents, strict=True))]
    assert "\n".join(_without_what_varies(text)[:MAX_CHARACTERS] for text in parts) == text_snapshot


_MEASURED = re.compile(r": waited <bdi>[^<]*</bdi>|<dt>Phases</dt><dd>[^\n]*</dd>|(?<=\d job)s\b")
"""What a busy machine adds: what a run waited for, its phases; jobs in one second or in several."""


def _without_what_varies(text: str) -> str:
    lines = (line.strip() for line in _MEASURED.sub("", text).splitlines())
    return _VARIES.sub("0", "\n".join(line for line in lines if line))
