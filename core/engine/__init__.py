"""From prompts to answers: encoding, constrained decoding, sampling, the engine that owns the model."""
