"""Explains in English why an alert did or did not notify at an instant.

values       the explanation as values
explaining   reads what is stored, and judges the rules at the instant
incidents    what the stored incidents of the job say; absence: why nothing was notified. Pure
"""
