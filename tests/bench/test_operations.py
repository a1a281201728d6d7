"""Storage operations are counted from Azurite's access log."""

import pytest

from bench._operations import HOST, Operations, kind_of

ACCOUNT = "127.0.0.1 - - [27/Nov/2026:14:12:09 +0000]"


@pytest.mark.parametrize(
    ("request_line", "kind"),
    [
        ("POST /account/$batch HTTP/1.1", "table: transaction"),
        ("GET /account/history(PartitionKey='0',RowKey='a') HTTP/1.1", "table: point read"),
        ("GET /account/history()?$top=5&$filter=PartitionKey%20eq%20'0' HTTP/1.1", "table: query"),
        ("POST /account/Tables HTTP/1.1", "other"),
        ("POST /account/runs/messages?visibilitytimeout=5 HTTP/1.1", "queue: send"),
        ("GET /account/runs/messages?peekonly=true&numofmessages=1 HTTP/1.1", "queue: peek"),
        ("GET /account/runs?comp=metadata HTTP/1.1", "queue: read the length"),
        ("GET /account/runs/messages?numofmessages=16&visibilitytimeout=600 HTTP/1.1", HOST),
        ("PUT /account/runs/messages/8a?popreceipt=x&visibilitytimeout=600 HTTP/1.1", HOST),
        ("DELETE /account/runs/messages/8a?popreceipt=x HTTP/1.1", HOST),
    ],
)
def test_a_request_is_known_by_its_method_and_address(request_line: str, kind: str) -> None:
    assert kind_of(f'{ACCOUNT} "{request_line}" 200 -') == kind


def test_a_line_that_is_no_request_is_not_counted() -> None:
    operations = Operations()
    operations.read("Azurite Blob service is closing...\n")
    operations.read(f'{ACCOUNT} "POST /account/$batch HTTP/1.1" 202 -\n')
    assert operations.counts(0.0, float("inf")) == {"table: transaction": 1}
