"""The section `alerting` of job files: read, validated, and joined over all files.

Its sub-keys are in jobs.definition.alerting_registry.
"""
