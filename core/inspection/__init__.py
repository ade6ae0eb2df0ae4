"""What happens between a text and its next token: attention, probabilities, the logit lens."""
