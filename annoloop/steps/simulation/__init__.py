"""The loop played on finished gold: strategies and recipes compared over seeds."""
