"""All style sheets are served as one: a page must not change the parts of another."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import scheduler.api.dashboard as dashboard

FOLDER = Path(dashboard.__file__).parent / "static" / "css"
SHARED = {"tokens", "base", "components"}


def leading_classes(sheet: Path) -> set[str]:
    """The first class of each selector."""
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    lists = (found[1] for found in re.finditer(r"([^{}]+)\{", text))
    selectors = (each.strip() for found in lists for each in found.split(",") if not found.strip().startswith("@"))
    return {found[1] for each in selectors if (found := re.search(r"\.([a-zA-Z][\w-]*)", each))}


def test_a_class_belongs_to_one_page_or_to_a_shared_sheet() -> None:
    sheets: dict[str, set[str]] = defaultdict(set)
    for sheet in FOLDER.glob("*.css"):
        for name in leading_classes(sheet):
            sheets[name].add(sheet.stem)
    clashes = {name: found for name, found in sheets.items() if len(found - SHARED) > 1 and not found & SHARED}
    assert clashes == {}


def test_only_the_tokens_define_colours() -> None:
    found = {
        (sheet.stem, colour)
        for sheet in FOLDER.glob("*.css")
        if sheet.stem != "tokens"
        for colour in re.findall(r":[^;{}]*(#[0-9a-fA-F]{3,8}|\b(?:rgb|hsl)a?\()", sheet.read_text(encoding="utf-8"))
    }
    assert found == set()
