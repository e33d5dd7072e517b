"""Harvesters of other projects, as they are on PyPI, on our engine: each makes of its source what it made of it on
ckanext-harvest 1.6.3, which ``record`` wrote down. None of this is shipped."""
