"""What the API offers, and who may use it."""
