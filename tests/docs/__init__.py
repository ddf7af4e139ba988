"""The documentation says what is true: its commands work, its links resolve, its tables match the code."""
