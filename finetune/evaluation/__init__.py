"""Who answers, what the answers are worth, and whether a difference is more than chance."""
