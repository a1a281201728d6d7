"""The pages of incidents, maintenance and notifications."""
