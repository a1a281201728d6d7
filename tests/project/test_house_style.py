"""The checker of texts and names: what it reads, what it refuses, and that the project follows its rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import ROOT
from tools.house_style.check import StyleChecker, check_project
from tools.house_style.rules import read_rules

PYTHON = '''"""It is kept."""

import re

LIMIT = 3  # what nobody needs
"""Seconds that
    is no limit."""

_PATTERN = re.compile(r"the kept one")


def run_told(asked: int) -> None:
    log.warning("not %s: it is"
                " none of them", f"a {kept} text {kept!r} told")
    # The store
    # is away.
    call("kept", {"kept": 1}, "the `kept` value")
'''
MARKDOWN = """# Kept

It may
not be `told`, see [asked](kept.md).

```sh
./dev told
```
"""


@pytest.fixture(scope="module")
def checker() -> StyleChecker:
    return StyleChecker(ROOT / "styles")


def found(checker: StyleChecker, path: str, text: str) -> list[tuple[int, str]]:
    """Lines, and the words that the messages quote last."""
    return [(one.line, one.message.split("'")[-2]) for one in checker.check(path, text)]


def test_texts_and_names_of_python_are_checked(checker: StyleChecker) -> None:
    assert found(checker, "x.py", PYTHON) == [
        (1, "kept"),
        (5, "nobody"),
        (7, "is no"),
        (12, "told"),
        (12, "asked"),
        (13, "is none"),
        (14, "told"),
        (16, "is away"),
    ]


def test_markdown_is_checked_without_its_code(checker: StyleChecker) -> None:
    assert found(checker, "x.md", MARKDOWN) == [(1, "Kept"), (3, "may not"), (4, "asked")]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("x.yaml", "key: kept  # not kept\n"),
        ("x.js", 'const kept = "kept"; // not kept\n'),
        ("x.html", '<p class="kept">not {{ kept }} kept</p>\n'),
        ("Dockerfile", "# not kept\nRUN kept\n"),
    ],
)
def test_other_files_are_checked_where_people_read_them(checker: StyleChecker, path: str, text: str) -> None:
    assert found(checker, path, text) == [(1, "kept")]


def test_old_sections_of_the_changelog_are_history(checker: StyleChecker) -> None:
    text = "## [Unreleased]\nkept\n## [0.1.0]\nkept\n"
    assert found(checker, "CHANGELOG.md", text) == [(2, "kept")]


@pytest.mark.parametrize(
    "text", ["There is no store.", "It is no longer due.", "is there a store?", "3 is no more than 4"]
)
def test_standard_phrases_are_allowed(checker: StyleChecker, text: str) -> None:
    assert found(checker, "x.md", text) == []


def test_a_message_offers_the_standard_term(checker: StyleChecker) -> None:
    (violation,) = checker.check("x.md", "kept")
    assert str(violation) == "x.md:1: Write 'stored, retained, cached or held' instead of 'kept'."


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a style of one rule and one exception, which is used."""
    for name, text in {
        "styles/House/Words.yml": "extends: existence\nmessage: \"no '%s'\"\ntokens: [kept]\n",
        "styles/Names/Words.yml": "extends: existence\nmessage: \"no '%s'\"\ntokens: [told]\n",
        "styles/exceptions.yml": "exceptions: [{files: docs/a.md, word: kept, reason: quoted}]\nunchecked: [docs/b*]\n",
        "docs/a.md": "kept",
        "docs/b.md": "kept",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def check(project: Path, *paths: str) -> list[str]:
    files = ["docs/a.md", "docs/b.md"]
    return check_project(StyleChecker(project / "styles"), files, paths, root=project)


def test_an_exception_and_an_unchecked_file_are_let_pass(project: Path) -> None:
    assert check(project) == []


def test_an_exception_that_matches_nothing_is_an_error(project: Path) -> None:
    (project / "docs/a.md").write_text("", encoding="utf-8")
    assert check(project) == ["styles/exceptions.yml: 'kept' in docs/a.md matches nothing: remove it"]


def test_a_named_path_is_checked_although_it_is_unchecked_so_far(project: Path) -> None:
    assert check(project, "docs/b.md") == ["docs/b.md:1: no 'kept'"]


def test_a_rule_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Odd.yml").write_text("extends: metric\n", encoding="utf-8")
    with pytest.raises(ValueError, match="extends 'metric', expected substitution or existence"):
        read_rules(tmp_path)


def test_the_project_follows_its_rules(checker: StyleChecker) -> None:
    assert check_project(checker) == []
