"""Reads resources of Terraform: HCL, states and plans. Used by the sources whose tests are resources of a provider."""
