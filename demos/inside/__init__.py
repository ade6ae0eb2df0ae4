"""The page See inside: attention, next tokens and logit lens of the user's own text."""
