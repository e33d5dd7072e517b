"""What syndication decides. Pure functions and types: the standard library and nothing else."""
