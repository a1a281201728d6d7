"""Parts of the stored text of a run. Used by runs.codec."""
