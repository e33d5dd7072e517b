"""What a portal with ckanext-archiver leaves: recorded by ``record``, laid out in a database by ``left``."""
