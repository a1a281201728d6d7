"""Finds the secrets and files that a definition names, with the keys that name them.

Called by config.job_files.definitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from config.job_files.job_set import ExternalUse
from jobs.definition import JobDefinition
from jobs.model_base import SecretRef
from jobs.problems import KeyPath
from jobs.targets import TlsOptions
from jobs.targets.http import ManagedIdentityAuth

_PLAIN_TYPES = frozenset({str, int, float, bool, type(None)})
"""Most values of a model; skipped first, as there can be ten thousand jobs."""


def find_external_uses(job: JobDefinition) -> tuple[ExternalUse, ...]:
    """Return what the job's check needs, by keys of the full form."""
    return tuple(_find_uses_in(job.check, ("check",)))


def _find_uses_in(value: object, path: KeyPath) -> Iterator[ExternalUse]:
    if isinstance(value, SecretRef):
        yield ExternalUse("secret", value.secret, path)
    elif isinstance(value, BaseModel):
        if isinstance(value, TlsOptions) and value.ca_file is not None:
            yield ExternalUse("ca_file", value.ca_file, (*path, "ca_file"))
        if isinstance(value, ManagedIdentityAuth):
            yield ExternalUse("scope", value.scope, (*path, "scope"))
        # What was not given has its default, and none of these names anything.
        for key in value.model_fields_set:
            if type(one := getattr(value, key)) not in _PLAIN_TYPES:
                yield from _find_uses_in(one, (*path, key))
    elif isinstance(value, (tuple, list)):
        for index, one in enumerate(value):
            if type(one) not in _PLAIN_TYPES:
                yield from _find_uses_in(one, (*path, index))
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if type(one) not in _PLAIN_TYPES:
                yield from _find_uses_in(one, (*path, str(key)))
