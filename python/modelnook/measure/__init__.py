"""Numbers about a model: quality with intervals, plain baselines, speed, bytes, memory."""
