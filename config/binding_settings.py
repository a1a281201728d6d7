"""The settings groups `secrets` and `identity`: which hosts may get which secret, and which token. Used by settings.py.

A rule is a list of hosts, or a mapping with `hosts` and `tags`. An environment variable holds all rules as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from jobs.checks.binding.hosts import read_host_pattern
from jobs.checks.binding.names import plain_secret
from jobs.checks.binding.scopes import resource_of
from jobs.checks.binding.tags import read_tag
from jobs.model import Frozen

_SECRET_NAME = re.compile(r"[A-Za-z0-9*][A-Za-z0-9*_-]*")
_EXAMPLE = '{"checkout-token": ["*.internal"]}'


def _listed(value: Any) -> Any:
    """A text alone as a list of one."""
    return [value] if isinstance(value, str) else value


def _host(text: str) -> str:
    read_host_pattern(text)
    return text.strip()


def _tag(text: str) -> str:
    read_tag(text)
    return text.strip()


class HostRule(Frozen):
    """Who may get it, and for jobs with which tags: with one of them, or any job if there are none."""

    hosts: Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], BeforeValidator(_listed)]
    tags: Annotated[tuple[Annotated[str, AfterValidator(_tag)], ...], BeforeValidator(_listed)] = ()


def _rule(value: Any) -> Any:
    """The short form, hosts alone, as the long one."""
    return value if isinstance(value, Mapping | HostRule) else {"hosts": value}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _rules(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error}): write {_EXAMPLE}") from None
    if not isinstance(found, dict):
        raise ValueError(f"is not a JSON object: write {_EXAMPLE}")
    return found


def _secret_names(rules: Mapping[str, HostRule] | None) -> Mapping[str, HostRule] | None:
    _refuse_twins(rules, plain_secret)
    for name in rules or ():
        if not _SECRET_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a secret's name: letters, digits, - and _; * stands for any text")
    return rules


def _scopes(rules: Mapping[str, HostRule] | None) -> Mapping[str, HostRule] | None:
    _refuse_twins(rules, resource_of)
    for scope in rules or ():
        if not resource_of(scope) or re.search(r"\s", scope):
            raise ValueError(f"{scope!r} is not a scope: write it as jobs do, such as api://checkout/.default")
    return rules


def _refuse_twins(rules: Mapping[str, HostRule] | None, plain: Callable[[str], str]) -> None:
    """Two rules for one thing, by two spellings: it would not be clear which of them counts."""
    spelt: dict[str, str] = {}
    for name in rules or ():
        other = spelt.setdefault(plain(name), name)
        if other != name:
            raise ValueError(f"{name!r} and {other!r} name the same: keep one of them")


_Rules = Mapping[str, Annotated[HostRule, BeforeValidator(_rule)]]
SecretRules = Annotated[_Rules | None, BeforeValidator(_rules), AfterValidator(_secret_names)]
ScopeRules = Annotated[_Rules | None, BeforeValidator(_rules), AfterValidator(_scopes)]
Unbound = Literal["allow", "deny"]


class SecretSettings(Frozen):
    """Which hosts may get the secrets that jobs name. `unbound`: whether one without a rule may go anywhere."""

    unbound: Unbound = "allow"
    allow: SecretRules = None


class IdentitySettings(Frozen):
    """The same for access tokens of the app's identity. Without a rule, one may go to its scope's own host."""

    unbound: Unbound = "allow"
    allow: ScopeRules = None
