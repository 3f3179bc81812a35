"""Where texts, questions, answers and results wait: one database a project; answers are append-only."""
