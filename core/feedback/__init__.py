"""What people said of the answers: kept as rows in a database, turned into rows to learn from."""
