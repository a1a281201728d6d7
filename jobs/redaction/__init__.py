"""Removes secrets from texts, by value. There is one redactor in a process.

Code that fetches or derives a secret registers it while it is in use (value_holders.py). Logs, errors, history and
exporters redact their texts (redactor.py). forms.py computes the encoded forms of a value, the redactor's index finds
them.
"""

from jobs.redaction.forms import SHORTEST_SECRET
from jobs.redaction.redactor import MAX_RELEASED_CHARACTERS, MAX_RELEASED_VALUES, REDACTED, Redact, Redactor

__all__ = ["MAX_RELEASED_CHARACTERS", "MAX_RELEASED_VALUES", "REDACTED", "SHORTEST_SECRET", "Redact", "Redactor"]
