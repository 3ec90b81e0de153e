"""Plain values that every floor speaks in: frozen dataclasses, standard library only, no I/O."""
