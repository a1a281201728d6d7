"""Links between the documents lead somewhere, and README and decisions have their form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, TEXTS, prose


def links() -> list[tuple[str, str]]:
    found = [(page, target) for page, text in TEXTS.items() for target in re.findall(r"\]\(([^)\s]+)\)", prose(text))]
    return [(page, target) for page, target in found if not target.startswith("https://")]


def anchors(text: str) -> set[str]:
    """What a heading is linked by."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "target"), links())
def test_a_link_leads_somewhere(page: str, target: str) -> None:
    file, _, anchor = target.partition("#")
    aim = (ROOT / page).parent / file if file else ROOT / page

    assert aim.exists()
    assert not anchor or anchor in anchors(aim.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [page for page in TEXTS if page.startswith("docs/decisions/0")])
def test_a_decision_begins_with_the_number_of_its_file(page: str) -> None:
    assert TEXTS[page].startswith(f"# {int(Path(page).name[:4])}. ")


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 30


def test_the_picture_of_the_readme_is_small() -> None:
    """./dev bench screenshot takes it."""
    (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", TEXTS["README.md"])
    assert (ROOT / picture).stat().st_size < 150_000
