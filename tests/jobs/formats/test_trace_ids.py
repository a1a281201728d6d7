"""The ids of a run's trace follow from the run's id."""

from __future__ import annotations

import re

import pytest

from jobs.trace_ids import format_trace_parent, parse_trace_parent, span_id_of, trace_id_of

RUN = "checkout@20310101T120000.000Z"


def test_the_header_has_the_form_of_trace_context_and_is_always_the_same() -> None:
    header = format_trace_parent(RUN, 1)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", header)
    assert header == format_trace_parent(RUN, 1)
    assert parse_trace_parent(header) == (trace_id_of(RUN), span_id_of(RUN, 1))


def test_attempts_of_a_run_share_its_trace_and_other_runs_have_another_one() -> None:
    assert len({span_id_of(RUN, attempt) for attempt in range(4)}) == 4
    assert trace_id_of(RUN) != trace_id_of(RUN + ".1234")


def test_a_step_belongs_to_the_attempt_of_its_run() -> None:
    assert format_trace_parent(f"{RUN}/2", 1) == format_trace_parent(RUN, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f"00-{'0' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'0' * 16}-01",
        f"ff-{'1' * 32}-{'1' * 16}-01",
        f"00-{'g' * 32}-{'1' * 16}-01",
        f"00-{'1' * 31}-{'1' * 16}-01",
    ],
)
def test_what_is_not_a_header_is_not_read(text: str) -> None:
    assert parse_trace_parent(text) is None
