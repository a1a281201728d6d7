"""What a reader of an HTML page sees, for the tests of the pages."""

from __future__ import annotations

import re
from html import unescape

from scheduler.api.dashboard.rendering.formatting import NOTHING
from tests.scheduler.api.api_client import ApiClient


async def get_page(client: ApiClient, path: str = "/api/dashboard", **query: str) -> str:
    sent = await client.get(path, **query)
    assert sent.headers["content-type"] == "text/html; charset=utf-8"
    return sent.text


def visible_text(page: str) -> str:
    """What a reader sees, without line breaks; a hyphen where there is no value."""
    body = re.sub(r"<title>.*?</title>", "", page, flags=re.DOTALL)
    ends = r"</(?:td|th|p|li|div|h\d|dt|dd|pre|nav)>"
    return " ".join(unescape(re.sub(r"<[^>]*>", "", re.sub(ends, " ", body))).split()).replace(NOTHING, "-")


def find_links(page: str) -> list[str]:
    """The addresses of the page, except those within it."""
    return [unescape(address) for address in re.findall(r'(?:href|src)="([^"#][^"]*)"', page)]


def has_inline_code(page: str) -> bool:
    """Whether something runs or is styled inline, which the content security policy would stop."""
    return re.search(r'style="|\son\w+="|<style|<script(?![^>]*\ssrc=)', page) is not None
