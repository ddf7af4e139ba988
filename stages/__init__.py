"""The release, readable as a list: one file per stage."""
