"""Harvest the metadata of other portals into this one: gather, fetch, import."""
