"""What the alert of a job may share with other alerts that fire together, the likeliest cause first. Pure.

    parent router,                    certificate CN=shop.example of CN=R3 valid until 2026-12-01 10:00:00Z,
    host api.example.com,             nameserver 10.0.0.4,   nameserver of this machine,   zone shop.example,
    circuit group:payments,           address 10.0.0.7,      resource /subscriptions/...,
    error connect_timeout,            error secret_unavailable: the vault answered 403

Stored with the alert (Alert.causes); alerts with the same cause form one incident unless other jobs that share it
refute it. The texts are stored: add kinds, never rename. A kind is a line in _KINDS: what an alert has, and what a job
shares whether it fails or not. The latter of an address and of a certificate is known from runs, see SeenCauses.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from jobs.alerting.facts import Sample
from jobs.definition import JobDefinition
from jobs.formats import format_instant
from jobs.runs.details import CertificateDetail
from jobs.runs.outcomes import ErrorClass
from jobs.targets import can_be_unknown

RESOURCE_TAG = "azure_resource"
"""The tag, or the attribute of a target, that names the id of the Azure resource that a job checks."""
_MAX_TEXT = 120
_MAX_RESOURCE = 300
_SYSTEM_RESOLVER = "of this machine"
_EXPIRES_SOON = timedelta(days=30)
_NAME_ERRORS = frozenset({ErrorClass.DNS_FAILURE, ErrorClass.DNS_TIMEOUT})
_WAY_ERRORS = frozenset(
    {ErrorClass.CONNECT_TIMEOUT, ErrorClass.CONNECTION_FAILED, ErrorClass.CONNECTION_RESET, ErrorClass.TLS_TIMEOUT}
)
"""Of the way to targets: a firewall or a route can cause them for several hosts, unless other jobs get through. A host
that refuses a connection has answered by itself."""
_OWN_ERRORS = frozenset(
    {
        ErrorClass.SECRET_UNAVAILABLE,
        ErrorClass.TOKEN_UNAVAILABLE,
        ErrorClass.OUT_OF_RESOURCES,
        ErrorClass.INTERNAL_ERROR,
    }
)
"""Of this program and what it depends on. Two targets that answer 503 at the same time need not have a common cause."""
_VARIABLE = re.compile(r"\d+(?:[.:]\d+)*")
"""Numbers, times and addresses differ between runs of the same failure."""


def find_causes(job: JobDefinition, sample: Sample | None) -> tuple[str, ...]:
    """`sample`: the newest bad one; None if the alert is not about a run."""
    return tuple(dict.fromkeys(f"{kind.name} {name}" for kind in _KINDS for name in kind.find(job, sample)))


def describe_certificate(certificate: CertificateDetail) -> str:
    """Return what identifies a certificate: one that replaces it expires at another time."""
    subject = certificate.names[0] if certificate.names else certificate.subject
    return f"{subject} of {certificate.issuer} valid until {format_instant(certificate.expires_at)}"


def is_about_certificate(sample: Sample) -> bool:
    """Return whether a run failed because of the certificate, or a good one shows that it expires soon."""
    expires_at = sample.certificate_expires_at
    if expires_at is None:
        return False
    return sample.error is ErrorClass.TLS_CERTIFICATE or (
        sample.is_good and expires_at - sample.finished_at < _EXPIRES_SOON
    )


def _parents(job: JobDefinition) -> Iterable[str]:
    return job.parents


def _hosts(job: JobDefinition) -> Iterator[str]:
    """Yield the first host that the check connects to. That of a query of DNS is its name server, and a check that
    can be unknown connects to an API, which is not what the job is about.
    """
    if job.check.kind == "dns" or can_be_unknown(job.check):
        return
    for destination in job.check.destinations():
        host = urlsplit(destination).hostname if isinstance(destination, str) else destination.host
        if host:
            yield host.lower()
        break


def _circuits(job: JobDefinition) -> Iterable[str]:
    return () if job.circuit_key is None else (job.circuit_key,)


def find_resource(job: JobDefinition) -> str:
    """Return the id of the Azure resource that a job names; empty without one."""
    return getattr(job.check, RESOURCE_TAG, "") or job.tags.get(RESOURCE_TAG, "")


def _resources(job: JobDefinition) -> Iterable[str]:
    resource = find_resource(job)
    return (resource.lower()[:_MAX_RESOURCE],) if resource else ()


def _name_servers(job: JobDefinition) -> Iterator[str]:
    if job.check.kind == "dns":
        yield job.check.server or _SYSTEM_RESOLVER
    elif any(_is_name(host) for host in _hosts(job)):
        yield _SYSTEM_RESOLVER


def _zones(job: JobDefinition) -> Iterator[str]:
    """Yield the domain above the name that is resolved."""
    for name in (job.check.name,) if job.check.kind == "dns" else _hosts(job):
        above = name.lower().rstrip(".").partition(".")[2]
        if above and _is_name(name):
            yield above


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _way(job: JobDefinition) -> Iterable[str]:
    """All jobs that connect to something share the way: its errors have one list of jobs."""
    return ("",) if any(True for _ in _hosts(job)) else ()


def _failed_name_servers(job: JobDefinition, sample: Sample | None) -> Iterable[str]:
    is_query = job.check.kind == "dns" and sample is not None and sample.error is not None
    return _name_servers(job) if is_query or _is_name_error(sample) else ()


def _failed_zones(job: JobDefinition, sample: Sample | None) -> Iterable[str]:
    return _zones(job) if _is_name_error(sample) else ()


def _is_name_error(sample: Sample | None) -> bool:
    return sample is not None and sample.error in _NAME_ERRORS


def _certificates(job: JobDefinition, sample: Sample | None) -> Iterator[str]:
    if sample is not None and sample.certificate is not None and is_about_certificate(sample):
        yield describe_certificate(sample.certificate)


def _addresses(job: JobDefinition, sample: Sample | None) -> Iterator[str]:
    if sample is not None and sample.is_failed and sample.address:
        yield sample.address


def _errors(job: JobDefinition, sample: Sample | None) -> Iterator[str]:
    if sample is None or sample.error is None:
        return
    if sample.error in _WAY_ERRORS:
        yield sample.error.value
    elif sample.error in _OWN_ERRORS:
        text = sample.message.replace(job.name, "")
        for host in _hosts(job):
            text = text.replace(host, "")
        text = _VARIABLE.sub("#", text)[:_MAX_TEXT].strip()
        yield f"{sample.error}: {text}" if text else sample.error.value


_Find = Callable[[JobDefinition, Sample | None], Iterable[str]]
_Share = Callable[[JobDefinition], Iterable[str]]


def _always(share: _Share) -> _Find:
    return lambda job, sample: share(job)


@dataclass(frozen=True, slots=True)
class CauseKind:
    """`find`: the names of this kind that an alert has. `share`: those that a job shares, also while it is fine."""

    name: str
    find: _Find
    share: _Share = lambda job: ()


_KINDS = (
    CauseKind("parent", _always(_parents), _parents),
    CauseKind("certificate", _certificates),
    CauseKind("host", _always(_hosts), _hosts),
    CauseKind("circuit", _always(_circuits), _circuits),
    CauseKind("resource", _always(_resources), _resources),
    CauseKind("nameserver", _failed_name_servers, _name_servers),
    CauseKind("zone", _failed_zones, _zones),
    CauseKind("address", _addresses),
    CauseKind("error", _errors, _way),
)
"""The likeliest first: of causes that explain an alert equally well, the first one leads."""


class CauseIndex:
    """The enabled jobs of a set by what their definitions share. Made once a set, some microseconds a job."""

    def __init__(self, jobs: Iterable[JobDefinition]) -> None:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for job in jobs:
            if job.enabled:
                for kind in _KINDS:
                    for name in kind.share(job):
                        found[f"{kind.name} {name}"].append(job.name)
        self._jobs: Mapping[str, tuple[str, ...]] = {cause: tuple(names) for cause, names in found.items()}

    def list_jobs(self, cause: str) -> Sequence[str]:
        """Return the jobs that share a cause; empty if definitions do not show it."""
        kind, _, name = cause.partition(" ")
        return self._jobs.get("error " if kind == "error" and name in _WAY_ERRORS else cause, ())


class SeenCauses:
    """Which jobs share an address or a certificate, by the newest run of each that this process knows."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[str, CertificateDetail | None]] = {}
        self._jobs: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def add(self, job: str, address: str, certificate: CertificateDetail | None) -> None:
        """Take notice of a run. One that shows neither changes nothing: it did not get that far."""
        before = self._shown.get(job)
        if not (address or certificate) or before == (address, certificate):
            return  # perf: nearly every run
        address, certificate = address or (before[0] if before else ""), certificate or (before[1] if before else None)
        self._change(job, before or ("", None), (address, certificate))

    def list_jobs(self, cause: str) -> Sequence[str]:
        """Return the jobs, a copy: passes run in a thread."""
        return tuple(self._jobs.get(cause, ()))

    def _change(
        self, job: str, before: tuple[str, CertificateDetail | None], after: tuple[str, CertificateDetail | None]
    ) -> None:
        self._shown[job] = after
        for cause in _list_seen(*before):
            self._jobs[cause].pop(job, None)
            if not self._jobs[cause]:
                del self._jobs[cause]
        for cause in _list_seen(*after):
            self._jobs[cause][job] = None


def _list_seen(address: str, certificate: CertificateDetail | None) -> Iterator[str]:
    if address:
        yield f"address {address}"
    if certificate is not None:
        yield f"certificate {describe_certificate(certificate)}"
