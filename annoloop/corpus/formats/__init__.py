"""One module a file format; each yields records with the line they start on."""
