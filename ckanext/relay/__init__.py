"""The engine that harvest, archiver and syndicate share; it knows no word of theirs."""
