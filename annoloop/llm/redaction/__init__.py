"""What is hidden from an LLM: masks of the same length over addresses, numbers, names, own patterns."""
