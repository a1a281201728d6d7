"""What telemetry publishes about the program itself: measurements, and changes that people look for."""
