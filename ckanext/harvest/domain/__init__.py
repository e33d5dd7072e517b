"""What the harvest plugin decides, as pure functions: no CKAN, no database, no network."""
