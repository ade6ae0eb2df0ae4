"""The training loop and what it needs: collation, optimizers, checkpoints, memory; LoRA and pre-training."""
