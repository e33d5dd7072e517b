"""Actions, their authorization, schemas and validators."""

import ckan.plugins.toolkit as tk


class _Refused(tk.ValidationError):
    """A validation error, so that the API answers with the reason and not with an error of the server."""

    def __init__(self, message: str) -> None:
        super().__init__({"source_id": [message]})
        self.message = message

    def __str__(self) -> str:
        return self.message


class HarvestJobExists(_Refused):
    """The source has a job that has not ended, so another one cannot be made."""


class HarvestSourceInactiveError(_Refused):
    """The source is inactive, so no job can be made for it."""
