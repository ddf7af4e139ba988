"""Room: adapters/simulated. A deterministic cloud under virtual time; it opens no socket and reads no clock."""
