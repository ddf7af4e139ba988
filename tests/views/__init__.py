"""Tests of floor 2, views."""
