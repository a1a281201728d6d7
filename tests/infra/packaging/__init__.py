"""Tests of what installs the program: wheel, systemd unit, Helm chart."""
