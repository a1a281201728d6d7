"""Types of the values in entries: how they are written, read and compared. Used by the entries and comparisons."""
