"""Executors: where a recipe is carried out. A child process by default; ``on="kernel"`` in this one."""
