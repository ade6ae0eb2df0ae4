"""LoRA adapters: on and off disk, on a backbone, with the passport of what they were made from."""
