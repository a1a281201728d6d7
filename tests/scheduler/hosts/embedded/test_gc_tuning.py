"""What is there when the program is ready is not looked at again, and yet goes when nobody needs it any more."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from scheduler.hosts.embedded.host import freeze_long_lived_objects


class Thing:
    other: Thing


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_exists_is_put_aside() -> None:
    things = [Thing() for _ in range(1000)]
    freeze_long_lived_objects()

    assert gc.get_freeze_count() >= len(things)


def test_references_alone_still_free_it() -> None:
    thing = Thing()
    observed = weakref.ref(thing)
    freeze_long_lived_objects()
    del thing

    assert observed() is None


def test_once_more_frees_what_went_in_a_circle_meanwhile() -> None:
    one, two = Thing(), Thing()
    one.other, two.other = two, one
    observed = weakref.ref(one)
    freeze_long_lived_objects()
    del one, two
    gc.collect()
    assert observed() is not None

    freeze_long_lived_objects()

    assert observed() is None
