"""What a job is and how one run of it happens. Imports none of the other packages."""
