"""From raw texts to a small, private, fast spaCy model that provably beats the LLM it learned from."""
