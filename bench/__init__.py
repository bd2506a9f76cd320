"""`make bench`: how fast hardy is, beside the standard library and other libraries for the same work."""
