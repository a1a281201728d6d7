"""The program judged from outside: job files, commands, HTTP and the services it reports to, nothing inside."""
