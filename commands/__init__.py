"""What each command does: options in, calls into finetune, core and demos, words out."""
