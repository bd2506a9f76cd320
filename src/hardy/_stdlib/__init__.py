"""The only place that touches private names of multiprocessing, a file a subject."""
