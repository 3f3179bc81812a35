"""The steps of the loop: each takes a project, does one thing, keeps the result in its store."""
