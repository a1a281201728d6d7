"""Which hosts receive a secret or token of a job, and which may, by the rules of the settings. Pure.

config.check_rules builds the rules. The checks apply them before they fetch or send anything, and so does `validate`. A
recipient is each name that a request is addressed to, and each proxy that can read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from jobs.checks.binding.names import (
    HostPattern,
    ProtectedResource,
    Recipient,
    RequiredTag,
    classify_scope,
    normalize_scope,
    normalize_secret_name,
    scope_host,
)
from jobs.checks.errors import CredentialDenied
from jobs.checks.port import Credential
from jobs.formats import effective_port, host_and_port, matches_wildcard
from jobs.model_base import SecretRef
from jobs.problems import make_printable
from jobs.targets import AzureTarget, FormBody, HttpTarget, StepsTarget, Target, TcpTarget, TextBody
from jobs.targets.databases import DatabaseTarget
from jobs.targets.http import ApiKeyAuth, BasicAuth, BearerAuth, ManagedIdentityAuth, OAuth2Auth
from jobs.targets.tcp import SendLine


@dataclass(frozen=True, slots=True)
class BindingRule:
    """Which hosts may receive it, for jobs that have one of the tags; without tags: for any job."""

    hosts: tuple[HostPattern, ...]
    tags: tuple[RequiredTag, ...] = ()


NO_RECIPIENT = BindingRule(())


def _hosts_in_all(first: BindingRule, others: Iterable[BindingRule]) -> tuple[HostPattern, ...]:
    return tuple(host for host in first.hosts if all(host in other.hosts for other in others))


class BindingRules:
    """Rules by names, in which `*` stands for any text. Only the most specific of the matching names counts."""

    def __init__(self, rules: Mapping[str, BindingRule]) -> None:
        """`rules`: by normalized names (`normalize_secret_name`, `normalize_scope`)."""
        self._exact = {name: rule for name, rule in rules.items() if "*" not in name}
        self._patterns = {name: rule for name, rule in rules.items() if "*" in name}
        # perf: run-cost, 3 % of a run that sends a secret, with 50 rules of patterns
        self.rules_for = lru_cache(4096)(self._find_rules)

    def __reduce__(self) -> tuple[Any, ...]:
        return BindingRules, ({**self._exact, **self._patterns},)

    def exact_rule(self, name: str) -> BindingRule | None:
        """Return the rule that has exactly this name."""
        return self._exact.get(name)

    def _find_rules(self, name: str) -> tuple[BindingRule, ...]:
        """Return the rules that count. All of them must allow it, as several patterns may be equally specific."""
        if (rule := self._exact.get(name)) is not None:
            return (rule,)
        fitting = {pattern: rule for pattern, rule in self._patterns.items() if matches_wildcard(name, pattern)}
        most = max(map(_count_literals, fitting), default=0)
        return tuple(rule for pattern, rule in fitting.items() if _count_literals(pattern) == most)


def _count_literals(pattern: str) -> int:
    return len(pattern) - pattern.count("*")


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is sent. `description`: as in a message, such as `the secret a`. `setting`: the group of settings that its
    rule belongs to. `key`: its name in that group."""

    description: str
    setting: str
    key: str


@dataclass(frozen=True, slots=True)
class Bindings:
    """All rules. `unbound_*`: whether a credential without a rule may go anywhere.

    `own_resources`: hosts of the program's own store and vault. No job gets a token for these, nor for the Azure
    services in `own_services`.
    """

    secrets: BindingRules = field(default_factory=lambda: BindingRules({}))
    scopes: BindingRules = field(default_factory=lambda: BindingRules({}))
    unbound_secrets: bool = True
    unbound_scopes: bool = True
    own_resources: tuple[str, ...] = ()
    own_services: frozenset[ProtectedResource] = frozenset()

    def check(
        self, credential: Credential, recipients: Sequence[Recipient], tags: Mapping[str, str], origin: str = ""
    ) -> None:
        """Check that a job with these tags may send the credential to all recipients.

        `origin`: "what was got with " for a value of a response, which may go only where the credential may.

        Raises:
            CredentialDenied: it must not.
        """
        if credential.kind == "secret":
            self._check_secret(credential.name, recipients, tags, origin)
        else:
            self._check_scope(credential.name, recipients, tags, origin)

    def _check_secret(self, name: str, recipients: Sequence[Recipient], tags: Mapping[str, str], origin: str) -> None:
        plain = normalize_secret_name(name)
        subject = _Subject(f"{origin}the secret {name}", "secrets", plain)
        rules = self.secrets.rules_for(plain)
        if not rules and not self.unbound_secrets:
            raise _no_rule_denial(subject, recipients)
        _check_rules(subject, rules, recipients, tags)

    def _check_scope(self, scope: str, recipients: Sequence[Recipient], tags: Mapping[str, str], origin: str) -> None:
        resource = normalize_scope(scope)
        subject = _Subject(f"{origin}an access token for {make_printable(scope)}", "identity", scope)
        protection = classify_scope(scope)
        if protection in self.own_services or any(host in unquote(resource) for host in self.own_resources):
            raise CredentialDenied(
                f"{subject.description} would open the store or the vault of this program, so no job gets it. "
                "No setting allows that."
            )
        rules = self.scopes.rules_for(resource)
        if protection is not ProtectedResource.NONE:
            rule = self.scopes.exact_rule(resource)
            if rule is None:
                raise CredentialDenied(
                    f"{subject.description} opens {protection.value}, so a job gets it only by a rule for "
                    f"exactly this scope. {_remedy(subject, recipients)}"
                )
            rules = (rule,)
        if not rules:
            if self.unbound_scopes or _is_for_recipients(scope, recipients):
                return
            raise _no_rule_denial(subject, recipients)
        _check_rules(subject, rules, recipients, tags)

    def admits_tags(self, name: str, tags: Mapping[str, str]) -> bool:
        """Return whether the rules of a secret are for jobs with these tags, whichever host gets it."""
        rules = self.secrets.rules_for(normalize_secret_name(name))
        return all(not rule.tags or any(tag.matches(tags) for tag in rule.tags) for rule in rules)

    def secret_rule(self, name: str) -> BindingRule | None:
        """Return the rule of a secret; None: any host may receive it."""
        rules = self.secrets.rules_for(normalize_secret_name(name))
        if not rules:
            return None if self.unbound_secrets else NO_RECIPIENT
        first, *others = rules
        return first if not others else replace(first, hosts=_hosts_in_all(first, others))


def _is_for_recipients(scope: str, recipients: Sequence[Recipient]) -> bool:
    """Return whether the token's audience is the very host that receives it."""
    host = scope_host(scope)
    return bool(host) and all(recipient.host == host for recipient in recipients)


def _check_rules(
    subject: _Subject, rules: Iterable[BindingRule], recipients: Sequence[Recipient], tags: Mapping[str, str]
) -> None:
    for rule in rules:
        if rule.tags and not any(tag.matches(tags) for tag in rule.tags):
            needed = " or ".join(map(str, rule.tags))
            raise CredentialDenied(
                f"{subject.description} is only for jobs with the tag {needed}. "
                f"To allow it, change its rule in the setting {_setting(subject)}."
            )
        for recipient in recipients:
            if not any(pattern.matches(recipient) for pattern in rule.hosts):
                allowed = ", ".join(map(str, rule.hosts)) or "no host"
                raise CredentialDenied(
                    f"{subject.description} may go to {allowed}, but {_recipient_text(recipient)} would get it. "
                    f"{_remedy(subject, (recipient,))}"
                )


def _no_rule_denial(subject: _Subject, recipients: Sequence[Recipient]) -> CredentialDenied:
    names = " and ".join(map(_recipient_text, recipients))
    return CredentialDenied(
        f"{subject.description} has no rule for {names}, which would get it. {_remedy(subject, recipients)}"
    )


def _remedy(subject: _Subject, recipients: Sequence[Recipient]) -> str:
    return f"To allow it, add to the setting {_setting(subject)}: {format_rule(subject.key, map(str, recipients))}."


def _setting(subject: _Subject) -> str:
    return f"{subject.setting}.allow (SCHEDULER_{subject.setting.upper()}__ALLOW)"


def format_rule(name: str, hosts: Iterable[str]) -> str:
    """Return the line of a settings file that allows these hosts: `checkout-token: [api.internal]`."""
    key = name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) else f'"{name}"'
    shown = (f'"{host}"' if re.search(r"[\[\]*:]", host) else host for host in dict.fromkeys(hosts))
    return f"{key}: [{', '.join(shown)}]"


def _recipient_text(recipient: Recipient) -> str:
    return make_printable(str(recipient))


UNRESTRICTED = Bindings()
"""Used without settings: each host may receive any credential."""


@dataclass(frozen=True, slots=True)
class CredentialDelivery:
    """A secret or a token, and all hosts that receive it."""

    credential: Credential
    recipients: tuple[Recipient, ...]


def find_deliveries(target: Target) -> Iterator[CredentialDelivery]:
    """Yield what a check sends, as far as its definition shows: an earlier response may give the URL of a step."""
    match target:
        case HttpTarget():
            yield from _deliveries_to_url(target, target.url)
        case StepsTarget(steps=steps, cleanup=cleanup):
            last_url = ""
            for step in (*steps, *cleanup):
                last_url = _join_url(last_url, step.url)
                yield from _deliveries_to_url(step, last_url)
        case TcpTarget():
            yield from deliveries_of_dialogue(target)
        case DatabaseTarget():
            yield from deliveries_of_database(target)
        case AzureTarget():
            token = Credential("scope", target.auth.scope)
            yield CredentialDelivery(token, (Recipient.from_host(target.host, 443),))


def deliveries_of_dialogue(target: TcpTarget) -> Iterator[CredentialDelivery]:
    """Yield what a TCP dialogue sends."""
    places = [_tcp_recipient(target.host, target.port)]
    if target.server_name is not None:
        places.append(_tcp_recipient(target.server_name, target.port))
    for line in target.dialogue:
        if isinstance(line, SendLine) and isinstance(line.send, SecretRef):
            yield CredentialDelivery(Credential("secret", line.send.secret), tuple(places))


def deliveries_of_database(target: DatabaseTarget) -> Iterator[CredentialDelivery]:
    """Yield what a sign-in to a database sends."""
    names = filter(None, (target.host, target.server_name))
    places = tuple(_tcp_recipient(name, target.port) for name in names)
    for value in (target.user, target.password):
        if isinstance(value, SecretRef):
            yield CredentialDelivery(Credential("secret", value.secret), places)
    if target.entra:
        yield CredentialDelivery(Credential("scope", target.ENTRA_SCOPE), places)


def deliveries_of_request(request: HttpTarget, scheme: str, at: Recipient) -> Iterator[CredentialDelivery]:
    """Yield what one request to this recipient sends. `scheme`: of its URL."""
    seen_by = _seen_by(request, scheme, at)
    for credential in iter_credentials(request):
        yield CredentialDelivery(credential, seen_by)
    if isinstance(request.auth, OAuth2Auth):
        yield from _deliveries_to_token_endpoint(request, request.auth)
    if request.own_proxy is not None and request.proxy_auth is not None:
        for value in (request.proxy_auth.username, request.proxy_auth.password):
            if isinstance(value, SecretRef):
                yield CredentialDelivery(Credential("secret", value.secret), (_proxy_recipient(request.own_proxy),))


def recipients_of_request(request: HttpTarget, scheme: str, at: Recipient) -> tuple[Recipient, ...]:
    """Return the host, and the hosts to which a shared gateway may forward the request by another name."""
    return _seen_by(request, scheme, at)


def _seen_by(request: HttpTarget, scheme: str, at: Recipient) -> tuple[Recipient, ...]:
    """The host, and those whom a shared entrance (a gateway, a front door) may hand the request to by other names."""
    places = [at]
    for name, value in request.headers.items():
        if name.lower() == "host" and isinstance(value, str):
            places.append(Recipient.from_host(_without_port(value), at.port))
    if request.server_name is not None:
        places.append(Recipient.from_host(request.server_name, at.port))
    if request.own_proxy is not None and not _is_encrypted_to_host(request, scheme):
        places.append(_proxy_recipient(request.own_proxy))
    return tuple(dict.fromkeys(places))


def _without_port(host: str) -> str:
    """Return the host of a `Host` header."""
    if host.startswith("["):
        return host.partition("]")[0]
    return host.partition(":")[0]


def _is_encrypted_to_host(request: HttpTarget, scheme: str) -> bool:
    """Return whether no proxy on the path to the URL's host can read the request."""
    return scheme == "https" and request.tls.verify and request.server_name is None


def iter_credentials(request: HttpTarget) -> Iterator[Credential]:
    """Yield what the target receives to authenticate the caller, also what its token is requested with."""
    values: list[object] = [*request.headers.values(), *request.query.values(), request.tls.client_certificate]
    match request.body:
        case TextBody(text=text):
            values.append(text)
        case FormBody(form=form):
            values += form.values()
    match request.auth:
        case BasicAuth(username=username, password=password):
            values += (username, password)
        case BearerAuth(token=token):
            values.append(token)
        case ApiKeyAuth(key=key):
            values.append(key)
        case OAuth2Auth(client_id=client_id, client_secret=client_secret):
            values += (client_id, client_secret)
        case ManagedIdentityAuth(scope=scope):
            yield Credential("scope", scope)
    yield from (Credential("secret", value.secret) for value in values if isinstance(value, SecretRef))


def _deliveries_to_token_endpoint(request: HttpTarget, auth: OAuth2Auth) -> Iterator[CredentialDelivery]:
    places = [Recipient.from_host(*host_and_port(auth.token_url))]
    if request.own_proxy is not None and not (urlsplit(auth.token_url).scheme == "https" and request.tls.verify):
        places.append(_proxy_recipient(request.own_proxy))
    for value in (auth.client_id, auth.client_secret, request.tls.client_certificate):
        if isinstance(value, SecretRef):
            yield CredentialDelivery(Credential("secret", value.secret), tuple(places))


def _proxy_recipient(proxy: str) -> Recipient:
    return Recipient.from_host(*host_and_port(proxy))


def _tcp_recipient(host: str, port: int) -> Recipient:
    """Encode a name as the resolver does, which differs slightly from httpx."""
    try:
        return Recipient.from_host(host if host.isascii() else host.encode("idna").decode(), port)
    except UnicodeError:
        return Recipient.from_host(host, port)


def _deliveries_to_url(request: HttpTarget, url: str) -> Iterator[CredentialDelivery]:
    try:
        parts = urlsplit(url)
        port = effective_port(parts.scheme, parts.port)
    except ValueError:  # of a step: the run reports it
        return
    if parts.hostname and "$" not in parts.netloc:
        yield from deliveries_of_request(request, parts.scheme, Recipient.from_host(parts.hostname, port))
    elif isinstance(request.auth, OAuth2Auth):
        yield from _deliveries_to_token_endpoint(request, request.auth)


def _join_url(last_url: str, url: str) -> str:
    """Return the URL of a step that follows this URL; empty if an earlier response gives it."""
    if url.startswith("${"):
        return ""
    try:
        return urljoin(last_url, url)
    except ValueError:
        return ""
