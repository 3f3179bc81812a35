"""Texts in and out: file formats, splits, near-duplicates, and the border between offsets and tokens."""
