"""The settings groups `secrets` and `identity`: which hosts may get which secret, and which token. Used by settings.py.

A rule is a list of hosts, or a mapping with `hosts` and `tags`. An environment variable holds all rules as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from jobs.checks.binding.names import normalize_scope, normalize_secret_name, parse_host_pattern, parse_tag
from jobs.model_base import FrozenModel

_SECRET_NAME = re.compile(r"[A-Za-z0-9*][A-Za-z0-9*_-]*")
_RULES_EXAMPLE = '{"checkout-token": ["*.internal"]}'


def _as_list(value: Any) -> Any:
    """A text alone as a list of one."""
    return [value] if isinstance(value, str) else value


def _check_host_pattern(text: str) -> str:
    parse_host_pattern(text)
    return text.strip()


def _check_tag(text: str) -> str:
    parse_tag(text)
    return text.strip()


class HostRule(FrozenModel):
    """The hosts that may get it, and the tags of which a job needs one; without tags, any job may send it."""

    hosts: Annotated[tuple[Annotated[str, AfterValidator(_check_host_pattern)], ...], BeforeValidator(_as_list)]
    tags: Annotated[tuple[Annotated[str, AfterValidator(_check_tag)], ...], BeforeValidator(_as_list)] = ()


def _expand_rule(value: Any) -> Any:
    """The short form, hosts alone, as the long one."""
    return value if isinstance(value, Mapping | HostRule) else {"hosts": value}


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _parse_rules(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value, object_pairs_hook=_unique_object)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error}): write {_RULES_EXAMPLE}") from None
    if not isinstance(found, dict):
        raise ValueError(f"is not a JSON object: write {_RULES_EXAMPLE}")
    return found


def _check_secret_names(rules: Mapping[str, HostRule] | None) -> Mapping[str, HostRule] | None:
    _reject_equal_names(rules, normalize_secret_name)
    for name in rules or ():
        if not _SECRET_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a secret's name: letters, digits, - and _; * stands for any text")
    return rules


def _check_scopes(rules: Mapping[str, HostRule] | None) -> Mapping[str, HostRule] | None:
    _reject_equal_names(rules, normalize_scope)
    for scope in rules or ():
        if not normalize_scope(scope) or re.search(r"\s", scope):
            raise ValueError(f"{scope!r} is not a scope: write it as jobs do, such as api://checkout/.default")
    return rules


def _reject_equal_names(rules: Mapping[str, HostRule] | None, plain: Callable[[str], str]) -> None:
    """Two rules for one thing, by two spellings: it would not be clear which of them counts."""
    spelt: dict[str, str] = {}
    for name in rules or ():
        other = spelt.setdefault(plain(name), name)
        if other != name:
            raise ValueError(f"{name!r} and {other!r} name the same: keep one of them")


_HostRules = Mapping[str, Annotated[HostRule, BeforeValidator(_expand_rule)]]
SecretRules = Annotated[_HostRules | None, BeforeValidator(_parse_rules), AfterValidator(_check_secret_names)]
ScopeRules = Annotated[_HostRules | None, BeforeValidator(_parse_rules), AfterValidator(_check_scopes)]
Unbound = Literal["allow", "deny"]


class SecretSettings(FrozenModel):
    """Which hosts may get the secrets that jobs name. `unbound`: whether one without a rule may go anywhere."""

    unbound: Unbound = "allow"
    allow: SecretRules = None


class IdentitySettings(FrozenModel):
    """The same for access tokens of the app's identity. Without a rule, one may go to its scope's own host."""

    unbound: Unbound = "allow"
    allow: ScopeRules = None
