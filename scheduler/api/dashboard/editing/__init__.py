"""Pages that change jobs: the editor of one definition, and actions on a selection of jobs."""
