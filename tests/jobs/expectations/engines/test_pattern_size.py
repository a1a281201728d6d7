"""Patterns that become large when they are compiled are refused before that."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from jobs.definition import JobDefinition
from jobs.expectations.engines.regular_expressions import (
    MAX_PATTERN_ELEMENTS,
    InvalidPattern,
    PatternField,
    PatternTooLarge,
    compile_pattern,
    pattern_size,
)
from jobs.problems import validation_findings
from tests.parts.pattern_compiler import PatternCompiler

MAX_MIB = 32
MAX_MS = 400

NESTED_20 = 20
BOMBS = {
    "issue": "(?:a{3000}){3000}",
    "larger": "(?:a{100000}){100000}",
    "single": "a{1000000}",
    "largest count": "a{4294967294}",
    "no least": "(?:(?:a{300}b){300,}){,3}",
    "at least": "(?:a{3000,}){3000,}",
    "lazy": "(?:a{3000}?){3000}?",
    "possessive": "(?:a{3000}+){3000}+",
    "none at all": "(?:(?:a{3000}){3000}){0}",
    "range": "(?:a{3000,3001}){3000,3001}",
    "plus": "(?:" * NESTED_20 + "a+" + "b)+" * NESTED_20,
    "one or more": "(?:" * NESTED_20 + "a+" + "b){1,}" * NESTED_20,
    "two": "(?:" * NESTED_20 + "a+" + "b){2}" * NESTED_20,
    "side by side": "(?:a{99}){99}" * 20,
    "verbose": "(?x)(?: a{3 000} ) {3 000}  # )",
    "verbose comment inside a count": "(?x)(?:a{3#\n000}){3000}",
    "verbose later": "a(?x: (?:a{3 000}#){\n){3000} )",
    "comment": "(?:a(?#{1}){3000}){3000}",
    "bracket in a set": "(?:[)]{3000}){3000}",
    "escaped bracket": r"(?:\){3000}){3000}",
    "nested set": "(?V1)(?:[[a-z]--[)]]{3000}){3000}",
    "posix set": "(?:[[:alpha:])]{3000}){3000}",
    "property": r"(?:\p{Lu}{3000}){3000}",
    "named character": r"(?:\N{LATIN SMALL LETTER A}{3000}){3000}",
    "grapheme": r"\X{15000}",
    "line break": r"(?:\R{300}){300}",
    "fuzzy": "(?:(?:a{3000}){3000}){e<=1}",
    "fuzzy test": "(?:(?:(?:a){s<=1:[a-z]}){3000}){3000}",
    "atomic": "(?>(?:a{3000}){3000})",
    "look ahead": "(?=(?:a{3000}){3000})",
    "look behind": "(?<!(?:a{3000}){3000})",
    "conditional": "(x)?(?(1)(?:a{3000}){3000}|b)",
    "conditional look": "(?(?=a)b|(?:a{3000}){3000})",
    "branch reset": "(?|(?:a{3000}){3000}|b)",
    "named group": "(?P<name>(?P<other>a{3000}){3000})",
    "definition": "(?(DEFINE)(?P<x>(?:a{3000}){3000}))(?&x)",
    "recursion": "(?:a{3000}(?R)?){3000}",
    "backwards": "(?r)(?:a{3000}){3000}",
    "folded": "(?fi)(?:ﬃ{300}){300}",
    "folded by version": "(?V1)(?i)(?:ß{300}){300}",
    "folded set": "(?V1)(?i)[[:alpha:]{]{1535}",
    "empty groups": "(){19000}",
    "called": "".join(f"(?P<g{n}>" for n in range(10)) + "a{99}" + ")" * 10 + "(?<=(?&g0))",
}  # fmt: skip

HONEST = [
    "",
    "ok",
    r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$",
    "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    r'"status"\s*:\s*"(?:ok|up|healthy)"',
    r"^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$",
    r"(?i)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
    "[A-Za-z0-9+/]{4096}={0,2}",
    "(?:[^,\n]*,){200}[^,\n]*",
    ".{0,1000000}",
    "(?:line [0-9]+\n){1000}",
    r"(?x) ^ (?P<name> \w+ ) \s* = \s* (?P<value> .* ) $  # a setting",
    r"(?P<json>\{(?:[^{}]|(?&json))*\})",
    "(?:" + "|".join(f"service-{number}" for number in range(70)) + ")",
    r"(?:(?:\w+\s+){1,10}\n){1,10}",
]


@pytest.mark.parametrize("pattern", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_within_milliseconds(pattern: str) -> None:
    started = time.thread_time()
    with pytest.raises(PatternTooLarge):
        compile_pattern(pattern)

    assert time.thread_time() - started < 1


@pytest.mark.parametrize("pattern", HONEST)
def test_honest_patterns_are_accepted(pattern: str) -> None:
    compiled, size = compile_pattern(pattern)

    assert compiled.pattern == pattern
    assert size <= MAX_PATTERN_ELEMENTS


@pytest.mark.parametrize(
    ("pattern", "size"),
    [("abc", 4), ("a{5}", 8), ("a{0,5}", 3), ("a{5,}", 8), ("a+", 4), ("a*", 3), ("(?:a{3}){3}", 26)],
)
def test_the_size_counts_what_is_written_out(pattern: str, size: int) -> None:
    assert pattern_size(pattern) == size


def test_the_error_reports_what_is_too_large_and_what_to_change() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(PatternField).validate_python("(?:a{3000}){3000}")

    (finding,) = validation_findings(caught.value.errors(include_url=False), PatternField)
    assert finding.message == (
        "'(?:a{3000}){3000}' is too large: it has more than 20,000 elements when its repeats are expanded "
        "(nested repeats: 3,000 times 3,000 copies); lower the counts, or start them at 0, as in a* or a{0,9}, "
        "which are not expanded"
    )


@pytest.mark.parametrize("pattern", ["(", "(?:" * 300 + "a" + ")" * 300, r"\L<x>", "(?V0)(?V1)a", "(?P<a>"])
def test_what_cannot_be_compiled_is_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(InvalidPattern, match=r"\w+ \w+"):
        compile_pattern(pattern)


def test_a_long_pattern_leaves_room_for_the_reason() -> None:
    with pytest.raises(ValidationError, match="the pattern is not a regular expression: missing"):
        TypeAdapter(PatternField).validate_python("(" + "a" * 900)


TARGETS = {
    "tcp": {"check": {"kind": "tcp", "host": "a.test", "port": 1, "dialogue": [{"receive": BOMBS["issue"]}]}},
    "save.regex": {
        "check": {
            "kind": "steps",
            "steps": [{"name": "a", "url": "http://a.test", "save": {"id": {"regex": BOMBS["issue"]}}}],
        }
    },
    "save.header.regex": {
        "check": {
            "kind": "steps",
            "steps": [
                {"name": "a", "url": "http://a.test", "save": {"id": {"header": "etag", "regex": BOMBS["issue"]}}}
            ],
        }
    },
    **{
        "-".join(entry): {"check": {"kind": "http", "url": "http://a.test"}, "expect": [entry]}
        for entry in (
            {"body_matches": BOMBS["issue"]},
            {"body_not_matches": BOMBS["issue"]},
            {"body": {"matches": BOMBS["issue"]}},
            {"json": "$.a", "matches": BOMBS["issue"]},
            {"header": "etag", "not_matches": BOMBS["issue"]},
            {"fact": "ip", "matches": BOMBS["issue"]},
        )
    },
    "answers": {
        "check": {"kind": "dns", "name": "a.test"},
        "expect": [{"answers": {"matches": BOMBS["issue"]}}],
    },
}


@pytest.mark.parametrize("keys", TARGETS.values(), ids=TARGETS)
def test_a_bomb_is_refused_wherever_a_job_may_have_a_pattern(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="has more than 20,000 elements"):
        JobDefinition.model_validate({"name": "a", **keys})


LEAVES = st.sampled_from(
    [
        "a", ".", r"\d", "[a-z]", "[^)({]", r"\X", r"\R", r"\p{L}", "ß", "ﬃ", r"\b", "^", "(?R)?", "(?1)", "()", r"\1",
        "[[a-z]--[aeiou]]", r"\N{DIGIT ONE}", "[[:alpha:]{]", "(?#{9}", " ", "#\n", "{", "ab", "(?:a){e<=1}", r"\{",
    ]
)  # fmt: skip
COUNTS = st.one_of(
    st.sampled_from(["+", "*", "?", "++", "+?", "{,7}", "{0}", "{1}", "{e<=2}", "{s<=1,i<=1:[a-z]}"]),
    st.integers(0, 5000).map(lambda n: f"{{{n}}}"),
    st.integers(0, 5000).map(lambda n: f"{{{n},}}"),
    st.tuples(st.integers(0, 5000), st.integers(0, 5000)).map(lambda two: f"{{{min(two)},{max(two)}}}"),
)
AROUND = st.sampled_from(
    ["(?:{})", "({})", "(?P<x>{})", "(?>{})", "(?={})", "(?<={})", "(?!{})", "(?|{})", "(?i:{})", "(?x:{})", "(?fi:{})",
     "(?(1){}|b)", "(?:{}|{})"]
)  # fmt: skip
FLAGS = st.sampled_from(["", "", "(?i)", "(?V1)", "(?V1)(?i)", "(?x)", "(?r)", "(?fi)", "(?w)", "(?m)", "(?b)", "(?e)"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=6).map("".join),
        st.tuples(AROUND, inner, COUNTS).map(lambda three: three[0].replace("{}", three[1]) + three[2]),
        st.tuples(inner, COUNTS).map("".join),
        st.tuples(inner, st.sampled_from(["", "|", "b"]), st.integers(2, 300)).map(lambda t: t[1].join([t[0]] * t[2])),
        st.tuples(inner, st.integers(2, 150)).map(lambda two: "(?:" * two[1] + two[0] + ")" * two[1]),
        st.tuples(st.integers(2, 25), inner, COUNTS).map(lambda t: "(?:" * t[0] + t[1] + f"b){t[2]}" * t[0]),
    )


PATTERNS = st.tuples(FLAGS, st.recursive(LEAVES, _larger, max_leaves=12)).map("".join).filter(lambda p: len(p) <= 1000)


@pytest.fixture(scope="module")
def compiler() -> Iterator[PatternCompiler]:
    compiler = PatternCompiler(MAX_MIB)
    yield compiler
    compiler.close()


@pytest.mark.property
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=PATTERNS)
def test_whatever_is_accepted_compiles_in_little_memory_and_time(compiler: PatternCompiler, pattern: str) -> None:
    """In a process that dies, or runs out of memory, if the bound lets something through."""
    answer, _, ms = compiler.compile(pattern).partition(" ")

    assert answer in ("refused", "compiled")
    assert int(ms or 0) < MAX_MS
