"""The cache of compiled texts is bounded by what they take."""

from __future__ import annotations

import contextlib

from jobs.expectations.engines.regular_expressions import MAX_PATTERN_ELEMENTS, CompiledCache, _patterns, search


def made(capacity: int) -> tuple[CompiledCache[str], list[str]]:
    compiled: list[str] = []

    def compile_text(text: str) -> tuple[str, int]:
        compiled.append(text)
        return text.upper(), len(text)

    return CompiledCache(compile_text, capacity), compiled


def test_a_text_is_compiled_once() -> None:
    cache, compiled = made(100)

    assert [cache.get_compiled("a"), cache.get_compiled("a")] == ["A", "A"]
    assert compiled == ["a"]


def test_what_was_not_used_for_longest_is_dropped_where_room_is_needed() -> None:
    cache, compiled = made(6)
    for text in ("aa", "bb", "cc", "aa", "dd", "aa", "bb"):
        cache.get_compiled(text)

    assert compiled == ["aa", "bb", "cc", "dd", "bb"]
    assert cache.size == 6


def test_the_latest_is_held_though_it_is_larger_than_the_cache() -> None:
    cache, compiled = made(2)

    cache.get_compiled("aaaa")
    cache.get_compiled("aaaa")

    assert compiled == ["aaaa"]


def test_a_text_that_fails_is_not_held() -> None:
    def fails(text: str) -> tuple[str, int]:
        raise ValueError(text)

    cache = CompiledCache(fails, 10)
    for _ in range(2):
        with contextlib.suppress(ValueError):
            cache.get_compiled("a")

    assert cache.size == 0


def test_a_thousand_of_the_largest_patterns_do_not_stay_in_memory() -> None:
    for number in range(100):
        search(f"{number}[ab]{{{MAX_PATTERN_ELEMENTS // 2 - 100}}}", "a")

    assert _patterns.size <= 250_000
