"""From rows to an adapter and a score. Knows the type `Task`, no particular task."""
