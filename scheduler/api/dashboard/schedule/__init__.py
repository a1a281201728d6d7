"""The schedule page: what is due, when, and what changes it."""
