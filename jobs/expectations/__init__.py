"""What must hold of an answer: the entries of a job's `expect`, and their judgement.

jobs.definition holds `Expectation`s; the runner calls `judge` with what the check saw.
"""

from jobs.expectations.entries import (
    BodyContains,
    BodyMatches,
    Expectation,
    HeaderIs,
    JsonIs,
    MaxBody,
    ResponseTimeBelow,
    StatusIs,
)
from jobs.expectations.judging import judge

__all__ = [
    "BodyContains",
    "BodyMatches",
    "Expectation",
    "HeaderIs",
    "JsonIs",
    "MaxBody",
    "ResponseTimeBelow",
    "StatusIs",
    "judge",
]
