"""Floor 2, decisions: pure functions from facts to what happens next. They call nothing and wait for nothing."""
