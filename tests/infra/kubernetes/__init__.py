"""Tests of the manifests below infra/kubernetes."""
