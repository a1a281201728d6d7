"""A cached request, a remembered address and a cached endpoint give the same as those that are built each time."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.addresses import OwnEndpoint
from jobs.checks.clock import host_and_endpoint
from jobs.checks.errors import TargetDenied
from jobs.checks.guard import Guard, TargetRules
from jobs.checks.http.requests import NO_CREDENTIALS, RUN_ID_PLACEHOLDER, RequestCache, build_request
from jobs.checks.http_transport.transport import encode_head
from jobs.formats import format_host_port, host_and_port
from jobs.redaction import Redactor
from jobs.redaction.value_holders import CurrentSecrets
from jobs.targets import HttpTarget

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HOSTS = st.sampled_from(["checkout.internal", "127.0.0.1:8080", "[::1]:99", "gr\u00fc\u00dfe.example", "EXAMPLE.com"])
TEXTS = st.text("abcXYZ012 &=?/%\u00fc", max_size=8)
TARGETS = st.builds(
    lambda host, path, method, headers, query, body, connection: HttpTarget.model_validate(
        {
            "url": f"https://{host}/{path}",
            "method": method,
            "headers": headers,
            "query": query,
            "connection": connection,
            **({} if body is None else {"body": body}),
        }
    ),
    HOSTS,
    st.sampled_from(["", "health", "a/b?c=d", "x%20y?z#part"]),
    st.sampled_from(["GET", "HEAD", "POST", "DELETE"]),
    st.dictionaries(st.sampled_from(["X-Note", "Idempotency-Key", "User-Agent", "Host"]), st.just("mine"), max_size=3),
    st.dictionaries(st.sampled_from(["a", "b"]), TEXTS, max_size=2),
    st.one_of(st.none(), st.fixed_dictionaries({"text": TEXTS}), st.fixed_dictionaries({"json": TEXTS})),
    st.sampled_from(["fresh", "kept"]),
)


@given(TARGETS, st.sampled_from(["", TRACE]))
def test_a_cached_request_is_that_which_is_built_each_time(target: HttpTarget, trace: str) -> None:
    build = partial(build_request, target, NO_CREDENTIALS, derived=CurrentSecrets(Redactor()), user_agent="scheduler")
    cached = RequestCache().store(target, build(run_id=RUN_ID_PLACEHOLDER).build())
    draft = build(run_id="job@1", trace_parent=trace)
    request = draft.build()
    sent = encode_head(request.method, request.url.raw_path, request.headers.raw) + request.content
    head, _, content = cached.encode("job@1", trace).partition(b"\r\n\r\n")
    expected_head, _, expected_content = sent.partition(b"\r\n\r\n")
    # The position of the trace header differs.
    assert (sorted(head.split(b"\r\n")), content) == (sorted(expected_head.split(b"\r\n")), expected_content)
    assert head.split(b"\r\n")[0] == expected_head.split(b"\r\n")[0]
    assert (cached.shown_url, cached.shared.host) == (draft.shown_url, draft.url.raw_host.decode())


def is_denied(guard: Guard, address: str, port: int, only_live: bool) -> bool:
    try:
        guard.check_numeric(address, port, only_live=only_live)
    except TargetDenied:
        return True
    return False


ADDRESSES = st.sampled_from(["127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8", "::1", "fe80::1"])
CALLS = st.lists(st.tuples(ADDRESSES, st.sampled_from([80, 7071, 9000]), st.booleans()), min_size=1, max_size=12)


@given(CALLS)
def test_a_remembered_address_is_decided_as_a_new_one(calls: list[tuple[str, int, bool]]) -> None:
    rules = TargetRules(
        networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
        ports=((1, 8999),),
        own_endpoints=(OwnEndpoint("127.0.0.1", 7071),),
        own_hosts=("8.8.8.8",),
    )
    guard = Guard(rules)
    for call in calls:
        assert is_denied(guard, *call) == is_denied(Guard(rules), *call)


@given(HOSTS, st.sampled_from(["http", "https", "tcp"]), st.sampled_from(["", "/", "/a/b", "/a:7"]))
def test_an_endpoint_has_the_host_of_its_url(host: str, scheme: str, path: str) -> None:
    endpoint = f"{scheme}://{host}{path}"
    name, port = host_and_port(endpoint)
    assert host_and_endpoint(endpoint) == (name, format_host_port(name, port))


@pytest.mark.parametrize("endpoint", ["dns:a.example", "heartbeat", "dns:a://", ""])
def test_an_endpoint_without_a_host_stays_as_it_is(endpoint: str) -> None:
    assert host_and_endpoint(endpoint) == (endpoint, endpoint)
