"""What a command does as a whole, from its arguments to the files it leaves."""
