"""Training runs with planted faults, on which the diagnosis is judged."""
