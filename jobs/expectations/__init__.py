"""The expectations of a job: the entries of `expect`, and the judgement of an answer by them.

jobs.definition validates `Expectation`s; the runner calls `judge` with the observation of the check. Each entry is a
class, listed in union.py.
"""

from jobs.expectations.entries.error import is_expected_error
from jobs.expectations.entry import ExpectationEntry, check_applicable
from jobs.expectations.judging import judge
from jobs.expectations.union import Expectation, Expectations

__all__ = ["Expectation", "ExpectationEntry", "Expectations", "check_applicable", "is_expected_error", "judge"]
