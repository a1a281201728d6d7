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
from jobs.formats import format_host_port
from jobs.problems import make_printable
from jobs.runs import ErrorClass, Observation
from jobs.targets.azure import CertificateEdge

_DIGEST = re.compile(r"[0-9A-F]{40}")
_MAX_NAMED = 200
"""Characters of what the resource has in a message."""


class ExpectedCertificates(NamedTuple):
    """What a resource has. `owner`: its label. `text`: for messages."""

    owner: str
    thumbprints: frozenset[str]
    text: str


def read_expected(owner: str, edge: CertificateEdge, seen: Observation) -> ExpectedCertificates:
    """Return the certificates of a resource, at the paths of its edge. Raises Concluded without any.

    A path can take a quarter of a second: not for the event loop.
    """
    try:
        document = json.loads(seen.body)
        found, ends = (
            [value for value in select_values(path, document) if isinstance(value, str)]
            for path in (edge.thumbprint, edge.expires)
        )
    except LimitExceeded as error:
        raise unknown(seen, f"The certificate was not found in {owner}: {error}.") from None
    digests = [re.sub(r"[\s:]", "", text).upper() for text in found]
    thumbprints = frozenset(filter(_DIGEST.fullmatch, digests))
    if not thumbprints:
        raise unknown(seen, f"{owner} has no certificate with a thumbprint at {edge.thumbprint}.")
    text = f"thumbprint {', '.join(sorted(thumbprints))}" + (f", valid to {', '.join(ends)}" if ends else "")
    return ExpectedCertificates(owner, thumbprints, make_printable(text, _MAX_NAMED))


def compare_certificates(
    edge: CertificateEdge, expected: ExpectedCertificates, seen: Observation, served: Observation
) -> Observation:
    """Return the resource with what the edge serves; an error if that is another certificate, or not accepted."""
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
            f"{format_host_port(edge.server_name or edge.host, edge.port)} serves another certificate than "
            f"{expected.owner} has: {shown}; the resource has {expected.text}. {message}"
        ).rstrip()
    return copy_with(
        seen,
        phases=served.phases,
        error=error,
        message=message,
        facts={**seen.facts, **facts},
        certificates=served.certificates,
    )
