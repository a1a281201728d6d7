"""Where judgements are made: at once on the event loop if they are short, otherwise in a process of their own.

What a judgement computes is up to the job and to its target, and Python cannot interrupt a library in the middle. So
what is not surely short is done by a process that can be killed (process.py, child.py), one after the other, that of
the job which has used least first (fair_queue.py). scheduler.app opens the service (service.py) and hands it to the
runner and to the checks that judge on the way; without one they judge inline (inline.py).
"""

from jobs.judging.inline import InlineJudges
from jobs.judging.judgement import Judgement
from jobs.judging.port import Begins, Judged, Judges, NotJudged, Task

__all__ = ["Begins", "InlineJudges", "Judged", "Judgement", "Judges", "NotJudged", "Task"]
