"""`quintet predict TASK --input FOLDER`: any number of rows, in memory that does not depend on it."""
