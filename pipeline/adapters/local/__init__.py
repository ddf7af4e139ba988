"""Room: adapters/local. What runs on one machine: the SQLite store, files, and the local AWS front."""
