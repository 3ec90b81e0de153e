"""Making of a model what may be sent: its card, its run's record, what its licences allow, what must not go along."""
