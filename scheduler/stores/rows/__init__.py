"""What the rows of all repositories have in common."""
