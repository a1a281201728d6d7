"""The page of metrics for Prometheus: all values come from the store, so any instance answers the same.

    families.py        what a source returns, which jobs have series, the two text formats
    job_facts.py       what the series of jobs are made of
    job_series.py      the source of all series of jobs
    page.py            the page, the list of all sources, and those of the program and objectives

Built by scheduler.app, called by scheduler.api.
"""
