"""Tests of floor 3, config: what is accepted, and what is said of everything that is not."""
