"""What commands write: for people on a terminal, for programs in a pipe."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import pytest
import typer

from scheduler.cli.output import (
    Column,
    escape_controls,
    fail,
    print_error,
    print_note,
    show_json,
    show_table,
    show_tabs,
)
from tests.scheduler.cli.invocation import Terminal


def test_lines_for_a_program_keep_one_row_a_line() -> None:
    with redirect_stdout(io.StringIO()) as out:
        show_tabs(("name", "message"), [("a", "two\nlines\tand a tab"), ("b", "")])

    assert out.getvalue() == "name\tmessage\na\ttwo\\nlines\\tand a tab\nb\t\n"


def test_what_a_terminal_would_act_upon_is_escaped() -> None:
    assert escape_controls("\x1b[31mred\x07 é") == "\\x1b[31mred\\x07 é"


def test_a_table_shows_texts_as_they_are() -> None:
    with redirect_stdout(Terminal()) as out:
        show_table(
            (Column("name"), Column("what", no_wrap=False)), [("a", ("[bold]:smile:[/]\x1b[31m", "red"))], title="[x]"
        )

    assert "[bold]:smile:[/]\\x1b[31m" in out.getvalue()
    assert "[x]" in out.getvalue()


def test_a_long_text_is_wrapped_between_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = " ".join(f"word{number:02}" for number in range(20))

    with redirect_stdout(Terminal()) as out:
        show_table((Column("name"), Column("what", no_wrap=False)), [("a", text)])

    rows = out.getvalue().splitlines()[3:]
    assert " ".join(row.strip().removeprefix("a ").strip() for row in rows).split() == text.split()
    assert all(len(row.rstrip()) <= 40 for row in rows)


def test_a_word_that_is_wider_than_the_terminal_stays_whole_in_a_list_of_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    columns = (
        Column("job", "bold"),
        Column("endpoint", no_wrap=False),
        Column("latest"),
        Column("late", is_optional=True),
    )
    url = "https://checkout.example.com/" + "health/" * 10

    with redirect_stdout(Terminal()) as out:
        show_table(columns, [("checkout", f"GET {url}", "ok", "1 s"), ("other", "-", "", "2 s")], title="jobs")

    assert out.getvalue().splitlines() == [
        "jobs",
        "checkout",
        "  endpoint  GET",
        f"            {url}",
        "  latest    ok",
        "other",
        "  endpoint  -",
    ]


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_are_skipped_where_no_one_requires_them(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with redirect_stderr(Terminal()) as err, redirect_stdout(Terminal()) as out:
        print_error("wrong")
        show_table((Column("name", "red"),), [("a",)])

    assert ("\x1b[31m" in err.getvalue()) is coloured
    assert ("\x1b[31m" in out.getvalue()) is coloured


def test_errors_and_records_in_a_pipe_are_plain_text_on_stderr() -> None:
    with redirect_stderr(io.StringIO()) as err:
        print_note("to know")
        with pytest.raises(typer.Exit) as end:
            fail("first\nsecond\x1b[31m")

    assert end.value.exit_code == 2
    assert err.getvalue() == "to know\nfirst\nsecond\\x1b[31m\n"


def test_json_retains_its_meaning_and_escapes_what_a_terminal_would_act_upon() -> None:
    value = {"text": "\x1b[31m \x9b31m \u202e \ufeff سلام 🙂", "nested": ["\u2066"]}

    with redirect_stdout(io.StringIO()) as out:
        show_json(json.dumps(value, ensure_ascii=False, indent=2))

    assert json.loads(out.getvalue()) == value
    assert "سلام 🙂" in out.getvalue()
    assert out.getvalue().replace("\n", "").isprintable()


def test_records_errors_and_titles_escape_what_a_terminal_would_act_upon() -> None:
    hostile = "a\x1b]0;owned\x07\u202eb\x85c\u2028d"

    with redirect_stderr(io.StringIO()) as errors, redirect_stdout(Terminal()) as out:
        print_note(hostile)
        print_error(hostile)
        show_table((Column("name"),), [("a",)], title=hostile)

    assert errors.getvalue().count("\\u202e") == 2
    assert errors.getvalue().replace("\n", "").isprintable()
    assert "\\x1b" in out.getvalue()
    assert not set("\x07\u202e\x85\u2028") & set(out.getvalue())
