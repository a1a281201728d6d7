"""Every error that checks raise. jobs.checks.error_mapping turns them into error classes and run messages.

CheckError                        base; a JobsError
 ├─ TargetDenied                  the guard does not allow a connection; the message is a sentence
 │   └─ CredentialDenied          a secret or token must not be sent to a host
 ├─ BodyMemoryExhausted, CaFileUnusable, NoNameServer     the message is a sentence
 ├─ DriverMissing                 of a database; the message is the name of a module
 ├─ ClientCertificateUnusable, NoAddressOfVersion, TunnelRefused, InvalidDnsName, IncompleteDnsAnswer
 ├─ FileError                     the message is a clause about the file
 │   └─ NotRegularFile, FileTooLarge, InvalidCaFile
 ├─ BadSubstitution, ExtractionError, TokenResponseError  the message is a clause
 └─ PeerError                     what the peer did; the message is the predicate of a sentence about the peer
     ├─ NoResponse, ExpectedDataMissing, TooManyRedirects
     └─ ProtocolViolation         the rules of its protocol, or a limit of this program
         ├─ IncompleteResponse, MalformedResponse, MalformedHttp2, NotHttp, InvalidRedirect, BadContentEncoding
         └─ HeadTooLarge, TooManyHeaderLines, TooManyInterimResponses, TooManyChunks, TooManyGzipMembers,
            TooManyTlsRecords (an ssl.SSLError, too), TooManyDnsRecords

`ClientRejected` is a TokenUnavailable of jobs.errors.
"""

from __future__ import annotations

import ssl

from jobs.errors import JobsError, TokenUnavailable


class CheckError(JobsError):
    """Base of the errors of checks."""


class TargetDenied(CheckError):
    """A target to which connections are not allowed. `reason` names it, the cause, and the setting that allows it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Not sent: {reason}")
        self.reason = reason


class CredentialDenied(TargetDenied):
    """A secret or a token must not be sent to a host. The message names both, and what to change."""


class BodyMemoryExhausted(CheckError):
    """A body cannot be read now, as other bodies use all of the memory."""


class CaFileUnusable(CheckError):
    """The CA file of a target cannot be used. The message names it and the reason."""


class ClientCertificateUnusable(CheckError):
    """A text is not a client certificate with its key."""


class FileError(CheckError):
    """A file is not read."""


class NotRegularFile(FileError):
    """It is a folder, a pipe, a device or the like."""

    def __init__(self, *, is_folder: bool) -> None:
        super().__init__("it is a directory" if is_folder else "it is not a regular file")


class FileTooLarge(FileError):
    """It has more bytes than the caller reads."""


class InvalidCaFile(FileError):
    """It has no certificates that can be used."""


class NoAddressOfVersion(CheckError):
    """The host has no address of the requested version of IP; the message is the version."""


class TunnelRefused(CheckError):
    """The proxy does not forward to this host and port. `is_default`: it is the proxy of the setting `outbound`.

    `is_tunnel`: False for a request of plain http, which it would send on by itself.
    """

    def __init__(self, status: int, endpoint: str, *, is_default: bool = False, is_tunnel: bool = True) -> None:
        super().__init__(status, endpoint)
        self.status = status
        self.endpoint = endpoint
        self.is_default = is_default
        self.is_tunnel = is_tunnel


class NoNameServer(CheckError):
    """This machine has no DNS server configured."""


class InvalidDnsName(CheckError):
    """The name cannot be queried. The message is the library's word for the reason."""


class IncompleteDnsAnswer(CheckError):
    """The answer over UDP was truncated, and not available over TCP; `__cause__` is the reason."""


class BadSubstitution(CheckError):
    """A value of an earlier response cannot be inserted into the step; the message names both."""


class ExtractionError(CheckError):
    """The response has no such value; the message describes what it has instead."""


class TokenResponseError(CheckError):
    """The response of a token endpoint has no token.

    `is_client_rejected`: the endpoint did not accept the client's id and secret.
    """

    def __init__(self, reason: str, *, is_client_rejected: bool = False) -> None:
        super().__init__(reason)
        self.is_client_rejected = is_client_rejected


class DriverMissing(CheckError):
    """The driver of a database is not installed; the message is the name of its module."""


class ClientRejected(TokenUnavailable):
    """The token endpoint did not accept the client's id and secret: the secret may have been rotated."""


class PeerError(CheckError):
    """What the peer did: the message is the predicate of a sentence about the peer."""


class NoResponse(PeerError):
    """The peer closed the connection before its first byte."""

    def __init__(self) -> None:
        super().__init__("closed the connection without a response: check the service and the proxies in front of it")


class ExpectedDataMissing(PeerError):
    """The peer did not send what a TCP dialogue expects: expected against received."""


class TooManyRedirects(PeerError):
    """The response redirects once more than the target allows."""

    def __init__(self, most: int) -> None:
        super().__init__(f"redirects again after {most} redirects, the limit: they may form a loop")


class ProtocolViolation(PeerError):
    """The peer broke the rules of its protocol, or exceeded a limit of this program."""


class IncompleteResponse(ProtocolViolation):
    """The peer closed the connection before its response was complete."""

    def __init__(self) -> None:
        super().__init__(
            "closed the connection before its response was complete: check the service and the proxies in front of it"
        )


class MalformedResponse(ProtocolViolation):
    """The response does not follow HTTP/1. `rule` never contains bytes of the response."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"answered with something that is not HTTP/1.1 ({rule})")


class MalformedHttp2(ProtocolViolation):
    """The response does not follow HTTP/2, or exceeds a limit of its frames."""


class NotHttp(ProtocolViolation):
    """The response does not begin like HTTP/1. `instead`: what it is, if its first bytes show it."""

    def __init__(self, instead: str = "") -> None:
        super().__init__(f"answered with something that is not HTTP/1.1{f', but {instead}' if instead else ''}")


class InvalidRedirect(ProtocolViolation):
    """The response redirects to a URL that cannot be requested. `url`: where to."""

    def __init__(self, url: str) -> None:
        super().__init__(f"redirects {url}")


class BadContentEncoding(ProtocolViolation):
    """The body is not in the encoding that its header names."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"sent a body that is not {encoding}, the encoding in its header")


class HeadTooLarge(ProtocolViolation):
    """The headers or trailers have more bytes than `most`."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"sent more than {most // 1024} KiB of headers, including informational responses and trailers: "
            "have the service send less"
        )


class TooManyHeaderLines(ProtocolViolation):
    """A head has more lines than `most`. `status`: of the response, if known."""

    def __init__(self, status: int | str, most: int, *, redirected: bool = False) -> None:
        among = ", including its redirects" if redirected else ""
        super().__init__(
            f"answered {f'{status} ' if status else ''}with more than {most:,} header lines{among}: "
            "check the service and the proxies in front of it"
        )


class TooManyInterimResponses(ProtocolViolation):
    """There are more informational responses than `most`."""

    def __init__(self, most: int) -> None:
        super().__init__(f"sent more than {most} informational responses (such as 100 Continue) before its response")


class TooManyChunks(ProtocolViolation):
    """The body has more chunks than `most`, of fewer bytes than `small` on average."""

    def __init__(self, most: int, small: int) -> None:
        super().__init__(
            f"sent its body in more than {most:,} chunks of less than {small} bytes on average: "
            "have the service buffer what it writes"
        )


class TooManyGzipMembers(ProtocolViolation):
    """The body has more gzip members than `most`."""

    def __init__(self, most: int) -> None:
        super().__init__(f"sent a body of more than {most:,} gzip members: have the service compress it as one")


class TooManyTlsRecords(ProtocolViolation, ssl.SSLError):
    """The peer sends more TLS records than `most`, of fewer bytes than `small` on average."""

    def __init__(self, most: int, small: int) -> None:
        super().__init__(
            f"sent more than {most:,} TLS records of less than {small} bytes on average: "
            "have the service buffer what it writes"
        )

    def __str__(self) -> str:
        """Return the message: that of an ssl.SSLError is the representation of its arguments."""
        return str(self.args[0])


class TooManyDnsRecords(ProtocolViolation):
    """The answer has more records than `most`."""
