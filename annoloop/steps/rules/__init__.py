"""What the loop does with patterns: report on them, propose some, join them to the model, ship them alone."""
