"""Closes from disk and network: series, price files, snapshot, cache, Yahoo Finance."""
