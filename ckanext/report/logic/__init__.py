"""Actions, their authorization and schemas."""
