"""Whatever is changed in a job file, the schema accepts what `validate` accepts, and refuses each unknown key."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.jobs.schemas.test_misspelt_keys import DOCUMENTS
from tests.parts.job_file_verdicts import list_problems, list_schema_errors

VALUES: tuple[Any, ...] = (
    *(None, 0, 1, 2, -1, 200, 1.5, 99.9, "", " ", "a", "5m", "1D", "3", "0.5", "1e3", "50%", "yes"),
    *("2xx", "any", "failed", "GET", "skip", "all", "https://a.example/", "0 0 * * * *", "every 5m"),
    *("22:00", "NXDOMAIN", "HTTP/2", [], ["a"], [1], ["5m", "1m"], [{}], {}, {"a": "b"}, {"secret": "a"}),
    *({"all": True}, {"every": "5m"}, {"equals": 1}, {"status": 200}, {"failed": True}, {"check": {}}),
    *({"kind": "dns", "name": "a"}, {"url": "https://a.example/"}),
)
"""Without true and false alone, which the models also read as the numbers 1 and 0: the schema refuses them there."""
KEYS = (
    *("name", "kind", "check", "url", "body", "query", "jobs", "defaults", "severity", "timeout", "status", "json"),
    *("equals", "length", "when", "notify", "every", "cron", "JobName", "Endpoint", "tags", "Tags", "xyz", "schedule"),
)


# Copies: a later change can be inside of a value.
_VALUES = st.sampled_from(VALUES).map(deepcopy)


@st.composite
def changed_documents(draw: st.DrawFn) -> Any:
    """One of the valid documents after one to three changes: a value replaced, a key removed, renamed or added."""
    document = deepcopy(DOCUMENTS[draw(st.sampled_from(sorted(DOCUMENTS)))])
    for _ in range(draw(st.integers(1, 3))):
        holders = list(list_holders(document))
        holder = draw(st.sampled_from(holders))
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        change = draw(st.sampled_from(["replace", "remove", "rename", "add"]))
        if change == "add" and isinstance(holder, dict):
            holder[draw(st.sampled_from(KEYS))] = draw(_VALUES)
        elif places:
            place = draw(st.sampled_from(places))
            if change == "replace":
                holder[place] = draw(_VALUES)
            elif change == "rename" and isinstance(holder, dict):
                holder[draw(st.sampled_from(KEYS))] = holder.pop(place)
            else:
                del holder[place]
    return document


def list_holders(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from list_holders(each)


@given(changed_documents())
@settings(max_examples=300)
def test_the_schema_agrees_with_validate_about_changed_documents(document: Any) -> None:
    problems, errors = list_problems(document), list_schema_errors(document)

    assert problems or not errors
    # The defaults of a file can have the kind of its checks, so their other keys are those of any kind.
    if not (isinstance(document, dict) and "defaults" in document):
        assert errors or not any("unknown key" in problem.message for problem in problems)
