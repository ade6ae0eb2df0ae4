"""What an answer shows: the verdict above it, bars, words that mattered, small print."""
