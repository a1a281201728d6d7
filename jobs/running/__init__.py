"""How one run of a job happens: attempts, retries, deadlines, circuit."""
