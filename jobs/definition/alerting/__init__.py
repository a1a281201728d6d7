"""The section `alerting` of job files as values, and which rules a job has.

config.job_files.alerting reads the section. A sub-key is a line in registry.py.
"""
