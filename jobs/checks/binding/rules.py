"""The rules of the settings: which hosts may get which secret, and which token of the app's identity. Pure.

Built by config.bindings. Asked by the checks before they fetch or send anything, and by `validate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import unquote

from jobs.checks.binding.hosts import HostPattern, Place
from jobs.checks.binding.names import plain_secret
from jobs.checks.binding.scopes import Protection, protection_of, resource_of, scope_host
from jobs.checks.binding.tags import TagOf
from jobs.checks.errors import CredentialDenied
from jobs.checks.port import Credential
from jobs.problems import printable
from jobs.wildcards import is_like


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may get it, and for jobs with which tags: with one of them, or any job if there are none."""

    hosts: tuple[HostPattern, ...]
    tags: tuple[TagOf, ...] = ()


NOBODY = Rule(())


def _in_all(first: Rule, others: Iterable[Rule]) -> tuple[HostPattern, ...]:
    return tuple(host for host in first.hosts if all(host in other.hosts for other in others))


class Rules:
    """Rules by names, in which `*` stands for any text. Of the names that fit, the most exact one counts alone."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        """Names as they are compared with: `plain_secret`, `resource_of`."""
        self._exact = {name: rule for name, rule in rules.items() if "*" not in name}
        self._patterns = {name: rule for name, rule in rules.items() if "*" in name}
        self.get = lru_cache(4096)(self._get)

    def exact(self, name: str) -> Rule | None:
        """Return the rule that has this very name."""
        return self._exact.get(name)

    def _get(self, name: str) -> tuple[Rule, ...]:
        """Return the rules that count. All of them must allow it, as several patterns may be equally exact."""
        if (rule := self._exact.get(name)) is not None:
            return (rule,)
        fitting = {pattern: rule for pattern, rule in self._patterns.items() if is_like(name, pattern)}
        most = max(map(_literals, fitting), default=0)
        return tuple(rule for pattern, rule in fitting.items() if _literals(pattern) == most)


def _literals(pattern: str) -> int:
    return len(pattern) - pattern.count("*")


@dataclass(frozen=True, slots=True)
class _Thing:
    """What is sent, in the words of a message, such as `the secret a`.

    `setting`: the group of settings that its rule belongs to. `key`: its name there.
    """

    words: str
    setting: str
    key: str


@dataclass(frozen=True, slots=True)
class Bindings:
    """All rules. `unbound_*`: whether what has no rule may go anywhere.

    `own_resources`: hosts at which the program's own store and vault are: no job gets a token for these, nor for those
    services of Azure that `own_services` names.
    """

    secrets: Rules = field(default_factory=lambda: Rules({}))
    scopes: Rules = field(default_factory=lambda: Rules({}))
    unbound_secrets: bool = True
    unbound_scopes: bool = True
    own_resources: tuple[str, ...] = ()
    own_services: frozenset[Protection] = frozenset()

    def check(self, credential: Credential, places: Sequence[Place], tags: Mapping[str, str], got: str = "") -> None:
        """Raise CredentialDenied unless it may be sent to all of these places by a job with these tags.

        `got`: "what was got with " for a value of an answer, which may go only where the credential may.
        """
        if credential.kind == "secret":
            self._check_secret(credential.name, places, tags, got)
        else:
            self._check_scope(credential.name, places, tags, got)

    def _check_secret(self, name: str, places: Sequence[Place], tags: Mapping[str, str], got: str) -> None:
        plain = plain_secret(name)
        thing = _Thing(f"{got}the secret {name}", "secrets", plain)
        rules = self.secrets.get(plain)
        if not rules and not self.unbound_secrets:
            raise _unbound(thing, places)
        _check(thing, rules, places, tags)

    def _check_scope(self, scope: str, places: Sequence[Place], tags: Mapping[str, str], got: str) -> None:
        resource = resource_of(scope)
        thing = _Thing(f"{got}an access token for {printable(scope)}", "identity", scope)
        protection = protection_of(scope)
        if protection in self.own_services or any(host in unquote(resource) for host in self.own_resources):
            raise CredentialDenied(
                f"Not asked: {thing.words} would open the store or the vault of this program, so no job gets it. "
                "No setting allows that."
            )
        rules = self.scopes.get(resource)
        if protection is not Protection.NONE:
            rule = self.scopes.exact(resource)
            if rule is None:
                raise CredentialDenied(
                    f"Not asked: {thing.words} opens {protection.value}, so a job gets it only by a rule that names "
                    f"this very scope. {_remedy(thing, places)}"
                )
            rules = (rule,)
        if not rules:
            if self.unbound_scopes or _is_its_own(scope, places):
                return
            raise _unbound(thing, places)
        _check(thing, rules, places, tags)

    def of_secret(self, name: str) -> Rule | None:
        """Return who may get a secret; None: everybody."""
        rules = self.secrets.get(plain_secret(name))
        if not rules:
            return None if self.unbound_secrets else NOBODY
        first, *others = rules
        return first if not others else replace(first, hosts=_in_all(first, others))


def _is_its_own(scope: str, places: Sequence[Place]) -> bool:
    """Whether the token is for the very host that gets it."""
    host = scope_host(scope)
    return bool(host) and all(place.host == host for place in places)


def _check(thing: _Thing, rules: Iterable[Rule], places: Sequence[Place], tags: Mapping[str, str]) -> None:
    for rule in rules:
        if rule.tags and not any(tag.is_on(tags) for tag in rule.tags):
            needed = " or ".join(map(str, rule.tags))
            raise CredentialDenied(
                f"Not asked: {thing.words} is for jobs with the tag {needed} alone. "
                f"To allow it, change its rule in the setting {_setting(thing)}."
            )
        for place in places:
            if not any(pattern.takes(place) for pattern in rule.hosts):
                allowed = ", ".join(map(str, rule.hosts)) or "no host"
                raise CredentialDenied(
                    f"Not asked: {thing.words} may go to {allowed}, and {_shown(place)} would get it. "
                    f"{_remedy(thing, (place,))}"
                )


def _unbound(thing: _Thing, places: Sequence[Place]) -> CredentialDenied:
    who = " and ".join(map(_shown, places))
    return CredentialDenied(
        f"Not asked: {thing.words} has no rule that says which hosts may get it, and {who} would. "
        f"{_remedy(thing, places)}"
    )


def _remedy(thing: _Thing, places: Sequence[Place]) -> str:
    return f"To allow it, add to the setting {_setting(thing)}: {rule_text(thing.key, map(str, places))}."


def _setting(thing: _Thing) -> str:
    return f"{thing.setting}.allow (SCHEDULER_{thing.setting.upper()}__ALLOW)"


def rule_text(name: str, hosts: Iterable[str]) -> str:
    """Return the line of a settings file that lets these hosts get it: `checkout-token: [api.internal]`."""
    key = name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) else f'"{name}"'
    shown = (f'"{host}"' if re.search(r"[\[\]*:]", host) else host for host in dict.fromkeys(hosts))
    return f"{key}: [{', '.join(shown)}]"


def _shown(place: Place) -> str:
    return printable(str(place))


ANYTHING = Bindings()
"""For those who have no settings."""
