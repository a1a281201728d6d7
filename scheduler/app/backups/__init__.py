"""What backups need of the composition root."""
