"""A simulated Mage: a small deterministic world behind Mage's own HTTP API."""
