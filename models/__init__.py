"""Published models: the store on disk, loading, compiling, the promotion gate."""
