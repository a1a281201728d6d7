"""The page of metrics for Prometheus: all values come from the store, so any instance answers the same.

    text.py            the two text formats
    families.py        what a source returns
    sources.py         the list of all sources
    run_facts.py       what follows from the finished runs of a job
    job_states.py      what changes without a run
    job_lines.py       the lines of a job
    selection.py       which jobs have series
    job_series.py      the source of all series of jobs
    program_series.py  the sources of the other ones
    page.py            the page

Built by scheduler.app, called by scheduler.api.
"""
