"""What people do with alerting, in the program."""
