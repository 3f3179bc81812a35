"""A project's settings: `annoloop.cfg` in its folder over the commented `default.cfg`."""
