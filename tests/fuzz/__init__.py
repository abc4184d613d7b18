"""Bytes that look for what breaks an invariant: in the suite by chance, with `make fuzz` led by coverage."""
