"""Certificates are read as people look at them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from jobs.certificates import UnreadableCertificate, read_certificate


def der_of(certificate: trustme.LeafCert) -> bytes:
    return x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes()).public_bytes(Encoding.DER)


def test_a_certificate_reports_its_names_and_its_days() -> None:
    ends = datetime(2031, 5, 1, 12, tzinfo=UTC)
    leaf = trustme.CA().issue_cert("a.test", "10.1.2.3", common_name="a.test", not_after=ends)

    read = read_certificate(der_of(leaf))

    assert (read.subject, read.names, read.not_after) == ("a.test", ("a.test", "10.1.2.3"), ends)
    assert read.days_left(ends - timedelta(days=3, hours=1)) == 3
    assert read.days_left(ends + timedelta(hours=1)) == -1


def test_the_issuer_is_reported_by_its_whole_name_where_it_has_no_common_one() -> None:
    read = read_certificate(der_of(trustme.CA(organization_name="Our authority").issue_cert("a.test")))
    assert "Our authority" in read.issuer


def test_what_is_no_certificate_is_reported_to_be_none() -> None:
    with pytest.raises(UnreadableCertificate):
        read_certificate(b"no certificate")
