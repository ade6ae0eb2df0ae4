"""The page Train: commands as processes of their own, and their runs."""
