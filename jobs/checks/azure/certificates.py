"""Whether the edge of a resource serves the certificate that the resource has. Pure.

Azure reports a renewed certificate at once, but an edge that was not updated serves the old one until it expires.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from jobs.checks.azure.verdicts import unknown
from jobs.expectations.engines.jsonpath import select_values
from jobs.expectations.engines.regular_expressions import LimitExceeded
from jobs.fast_frozen import copy_with
from jobs.problems import make_printable
from jobs.runs import ErrorClass, Observation
from jobs.targets import AzureResourceTarget
from jobs.targets.azure import CertificateEdge

_DIGEST = re.compile(r"[0-9A-F]{40}")
_MAX_NAMED = 200
"""Characters of what the resource has in a message."""


class ExpectedCertificates(NamedTuple):
    """What a resource has. `text`: for messages."""

    thumbprints: frozenset[str]
    text: str


def read_expected(target: AzureResourceTarget, seen: Observation) -> ExpectedCertificates:
    """Return the certificates of a resource, at the paths of its edge. Raises Concluded without any."""
    edge = target.edge
    assert edge is not None
    try:
        document = json.loads(seen.body)
        found, ends = (
            [value for value in select_values(path, document) if isinstance(value, str)]
            for path in (edge.thumbprint, edge.expires)
        )
    except LimitExceeded as error:
        raise unknown(seen, f"The certificate was not found in {target.label}: {error}.") from None
    digests = [re.sub(r"[\s:]", "", text).upper() for text in found]
    thumbprints = frozenset(filter(_DIGEST.fullmatch, digests))
    if not thumbprints:
        raise unknown(seen, f"{target.label} has no certificate with a thumbprint at {edge.thumbprint}.")
    text = f"thumbprint {', '.join(sorted(thumbprints))}" + (f", valid to {', '.join(ends)}" if ends else "")
    return ExpectedCertificates(thumbprints, make_printable(text, _MAX_NAMED))


def compare_certificates(
    target: AzureResourceTarget, expected: ExpectedCertificates, seen: Observation, served: Observation
) -> Observation:
    """Return the resource with what the edge serves; an error if that is another certificate, or not accepted."""
    assert target.edge is not None
    facts = served.facts
    error, message = served.error, served.message
    thumbprint = facts.get("thumbprint")
    if thumbprint not in expected.thumbprints and (thumbprint is not None or error is None):
        error = error or ErrorClass.TLS_CERTIFICATE
        shown = (
            f"serial {facts['serial']}, thumbprint {thumbprint}, valid to {facts['not_after']}"
            if thumbprint is not None
            else "one that cannot be read"
        )
        message = (
            f"{_name(target.edge)} serves another certificate than {target.label} has: {shown}; the resource has "
            f"{expected.text}. {message}"
        ).rstrip()
    return copy_with(
        seen,
        phases=served.phases,
        error=error,
        message=message,
        facts={**seen.facts, **facts},
        certificates=served.certificates,
    )


def _name(edge: CertificateEdge) -> str:
    return f"{edge.server_name or edge.host}:{edge.port}"
