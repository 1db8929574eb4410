"""Nightly retraining: when a run is due, one run at a time, its result, and the process that waits between runs."""
