"""Reports on a model's quality, and models side by side."""
