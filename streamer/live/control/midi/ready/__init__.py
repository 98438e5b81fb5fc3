"""Ready maps of controllers, by the names of their ports."""
