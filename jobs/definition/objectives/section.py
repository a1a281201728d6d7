"""The section `objectives` of job files: a mapping of objectives by name. Used by config.job_files and jobs.schemas.

Its entries are joined with those of the section `alerting`, under the key OBJECTIVES_PART.
"""

from __future__ import annotations

from jobs.definition.alerting.section_part import SectionPart
from jobs.definition.objectives.objective import SelectedObjective

OBJECTIVES_PART = "objectives"
OBJECTIVES_SECTION = SectionPart(OBJECTIVES_PART, SelectedObjective, True, "Objectives of several jobs, by name")
