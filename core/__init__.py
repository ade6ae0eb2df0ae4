"""The machine: tasks, backbone, adapters, engine. Knows no particular task."""
