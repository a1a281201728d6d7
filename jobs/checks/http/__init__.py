"""What an HTTP check requests, and what it reads of the response."""
