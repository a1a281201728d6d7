"""All style sheets are served as one: a page must not change the parts of another."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

import scheduler.api.dashboard as dashboard

FOLDER = Path(dashboard.__file__).parent / "static" / "css"
SHARED = {"tokens", "base", "components"}
SET_BY_PAGES: set[str] = set()
"""Custom properties that a template or a script sets."""


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


SPACED = r"(?<![\w-])(?:row-gap|column-gap|gap|margin[\w-]*|padding[\w-]*):[^;{}]*"
LITERALS = {
    "space": SPACED + r"(?<![\w.*/(-])(?:[0-2]?\.\d+|[1-3])rem",
    "size": r"(?<![\w-])font(?:-size)?: [\d.]+(?:rem|em|px)",
    "radius": r"border-radius:[^;{}]*(?<![\w.-])[\d.]+(?:px|rem)",
    "layer": r"z-index: \d",
    "breakpoint": r"(?:max-width: (?!(?:40|60|80)rem)|min-width: (?!(?:40|60|80)(?:\.01)?rem))[\d.]+rem\) *(?:and|\{)",
}


@pytest.mark.parametrize("kind", LITERALS)
def test_rules_use_tokens(kind: str) -> None:
    found = {
        (sheet.stem, hit[0][-60:])
        for sheet in FOLDER.glob("*.css")
        if sheet.stem != "tokens"
        for hit in re.finditer(LITERALS[kind], sheet.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_every_token_that_a_rule_uses_is_defined() -> None:
    sheets = "".join(sheet.read_text(encoding="utf-8") for sheet in FOLDER.glob("*.css"))
    defined = set(re.findall(r"(--[\w-]+):", sheets))
    assert set(re.findall(r"var\((--[\w-]+)", sheets)) - defined <= SET_BY_PAGES


@pytest.mark.parametrize("theme", [0, 1])
def test_series_of_charts_are_legible_on_a_card(theme: int) -> None:
    text = (FOLDER / "tokens.css").read_text(encoding="utf-8")
    colours = {found[1]: found.groups()[1:] for found in re.finditer(r"(--[\w-]+): light-dark\((#\w+), (#\w+)\)", text)}
    surface = luminance(colours["--color-surface"][theme])
    series = [luminance(colours[f"--color-series-{number}"][theme]) for number in range(1, 7)]
    assert all((max(one, surface) + 0.05) / (min(one, surface) + 0.05) >= 4.5 for one in series)


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


MAX_LINE = 200


def test_no_line_of_a_template_is_long() -> None:
    templates = FOLDER.parent.parent / "templates"
    long = {
        path.relative_to(templates).as_posix()
        for path in templates.rglob("*.html")
        if any(len(line) > MAX_LINE for line in path.read_text(encoding="utf-8").splitlines())
    }
    assert long == set()
