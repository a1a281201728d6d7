"""Reads presets for the API and the editor. They belong to no job: each caller reads all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.problems.findings import did_you_mean, suggest_name
from scheduler.catalog.catalog import Query
from scheduler.errors import NotFound
from scheduler.features.presets.models import PresetDetail, PresetList, view_expansion, view_preset

if TYPE_CHECKING:
    from scheduler.features.stored_jobs.queries import StoredJobQueries


class PresetQueries(Query):
    """The presets that jobs can use now."""

    def __init__(self, stored_jobs: StoredJobQueries) -> None:
        self._stored_jobs = stored_jobs

    def list_presets(self) -> PresetList:
        """Return all presets by name."""
        return PresetList(presets=[view_preset(preset) for preset in self._stored_jobs.presets])

    def read_preset(self, name: str) -> PresetDetail:
        """Return a preset with the job of its examples. Raises NotFound."""
        library = self._stored_jobs.presets
        preset = library.find(name)
        if preset is None:
            raise NotFound(f"there is no preset {name!r}{did_you_mean(suggest_name(name, library.names))}")
        return view_expansion(preset)
