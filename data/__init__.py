"""Tasks, sources, generated e-mails, text normalisation and tokenizers; nothing here imports torch."""
