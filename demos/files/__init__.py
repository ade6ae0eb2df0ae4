"""The page of files: a table in, a scored table and its summary out."""
