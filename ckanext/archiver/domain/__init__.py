"""What the archiver decides. Pure functions and types: the standard library and nothing else."""
