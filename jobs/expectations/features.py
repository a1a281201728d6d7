"""The features of an observation: each target class lists its own, each entry needs one. Pure."""

from __future__ import annotations

from enum import StrEnum


class Feature(StrEnum):
    """The value describes the feature in error messages."""

    FACTS = "facts"
    DURATION = "a duration"
    HTTP_RESPONSE = "an HTTP response"
    BODY = "a body"
    CONNECTION = "a connection"
    OPTIONAL_TLS = "a connection with optional TLS"
    CERTIFICATE = "a certificate"
    DNS_ANSWER = "a DNS answer"
