"""Objectives as job files define them: `slo` of a job, and the section `objectives`. Pure."""
