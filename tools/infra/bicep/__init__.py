"""The part of the language Bicep that infra/bicep uses: its text as a syntax tree. Called by tools.infra.arm."""
