"""Frozen dataclasses without what freezing costs at run time."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from jobs.fast_frozen import fast_frozen


@fast_frozen(frozen=True, slots=True)
class _Light:
    name: str
    number: int = 1


@dataclass(frozen=True, slots=True)
class _Frozen:
    name: str
    number: int = 1


def test_a_value_is_a_frozen_dataclass_in_all_but_what_it_costs() -> None:
    light, frozen = _Light("a"), _Frozen("a")
    assert light == _Light("a", 1) != _Light("b")
    assert hash(light) == hash(frozen)
    assert repr(light) == repr(frozen).replace("_Frozen", "_Light")
    assert replace(light, number=2) == _Light("a", 2)
    assert [each.name for each in fields(light)] == ["name", "number"]
    assert not hasattr(light, "__dict__")
