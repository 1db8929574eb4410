"""Scoring in bulk: any number of windows from a Parquet or CSV file, in bounded memory."""
