"""What the loop asks an LLM, on which terms, and what it came to: runs, prompts compared, consent, money."""
