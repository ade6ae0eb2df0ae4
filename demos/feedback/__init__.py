"""The page of feedback: thumbs and corrected answers, searched, exported, learned from."""
