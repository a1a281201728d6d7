"""Runs judgements: short ones on the event loop, all others in a child process.

Jobs and targets determine the cost of a judgement, and Python cannot interrupt a library call. So a judgement that can
be long runs in a process that can be killed (process.py, child.py), one at a time, the job with the least recent use
first (service.py). scheduler.app opens the service and passes it to the runner and to the checks that judge during an
attempt; without it they judge inline (port.py).
"""

from jobs.judging.judgement import ExpectationVerdict, Judgement
from jobs.judging.port import InlineJudge, Judge, JudgedResult, JudgingTask, JudgingUnavailable, OnPartStarted

__all__ = [
    "ExpectationVerdict",
    "InlineJudge",
    "Judge",
    "JudgedResult",
    "Judgement",
    "JudgingTask",
    "JudgingUnavailable",
    "OnPartStarted",
]
