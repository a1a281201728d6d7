"""A URL that cannot be parsed is reported as not carried over, wherever it is in a source."""

from __future__ import annotations

import pytest

from tests.config.importers.importing import details, import_text

BAD = "http://[bad"
GATUS = """
endpoints:
  - name: a
    url: "https://x.example.com"
    client: {{proxy-url: "{url}"}}
    conditions: ["[STATUS] == 200"]
"""
SOURCES = {
    "gatus proxy": ("gatus", GATUS.format(url=BAD)),
    "gatus URL": ("gatus", GATUS.replace("https://x.example.com", BAD).format(url="http://p.example.com")),
    "crontab proxy": ("crontab", f"*/5 * * * * curl -x {BAD} https://a.example.com\n"),
    "crontab URL": ("crontab", f"*/5 * * * * curl {BAD}\n"),
    "wget URL": ("crontab", f"*/5 * * * * wget {BAD}\n"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_an_invalid_url_is_reported(name: str) -> None:
    source, text = SOURCES[name]
    assert any("the URL is not valid" in each for each in details(import_text(source, text)).values())
