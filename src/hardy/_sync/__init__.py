"""Locks and their like, and how their handles travel."""
