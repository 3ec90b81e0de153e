"""The Jupyter server's face: ``POST {base_url}modelnook/api/METHOD`` and the one change feed.

The process that this runs in belongs to the person's notebooks: it imports no torch, no pandas, no client library of a
hub or a tracker. What needs those is asked of a short-lived child (``ask.py``) or kept by a helper (``reader.py``).
"""
