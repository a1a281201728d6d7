"""What sources share: reading values, requests, durations, texts."""
