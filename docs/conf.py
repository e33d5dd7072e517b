"""How Sphinx builds these pages: ``sphinx-build -W docs .relay/docs``."""

project = "ckanext-relay"
copyright = "the authors of ckanext-relay"  # noqa: A001  Sphinx wants this name
extensions: list[str] = []
html_theme = "alabaster"
exclude_patterns = ["_build"]
