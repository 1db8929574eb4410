"""Training many symbols: a model of each, a global one, the better of the two published; on one machine or on a Dask cluster."""
