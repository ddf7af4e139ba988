"""Floor 1, the model: frozen types, events and their fold. It performs nothing and imports only errors."""
