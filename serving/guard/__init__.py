"""Who may ask, how much and how often; and what is said to whoever may not."""
