"""What `quintet bench` runs: our training and what a person would write instead, one after another."""
