"""Actions, their authorization, schemas and validators."""


class HarvestJobExists(Exception):
    """The source has a job that has not ended, so another one cannot be made."""


class HarvestSourceInactiveError(Exception):
    """The source is inactive, so no job can be made for it."""
