"""Pools of workers: one engine, and what its faces share."""
