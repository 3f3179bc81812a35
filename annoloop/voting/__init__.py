"""Several sources as voters: one annotation out of what they say, and how far it can be trusted."""
