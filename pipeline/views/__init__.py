"""Floor 2, views: model values in, text, JSON or Markdown out. Pure: no clock, no files, no terminal, no colour."""
