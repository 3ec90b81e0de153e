"""Loopback servers that speak the Hub's and W&B's protocols, so that tests use the real client libraries."""
