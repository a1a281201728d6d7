"""What is there when the program is ready is not looked at again, and yet goes when nobody needs it any more."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from scheduler.garbage import put_aside


class Thing:
    other: Thing


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_is_there_is_put_aside() -> None:
    things = [Thing() for _ in range(1000)]
    put_aside()

    assert gc.get_freeze_count() >= len(things)


def test_references_alone_still_free_it() -> None:
    thing = Thing()
    seen = weakref.ref(thing)
    put_aside()
    del thing

    assert seen() is None


def test_once_more_frees_what_went_in_a_circle_meanwhile() -> None:
    one, two = Thing(), Thing()
    one.other, two.other = two, one
    seen = weakref.ref(one)
    put_aside()
    del one, two
    gc.collect()
    assert seen() is not None

    put_aside()

    assert seen() is None
