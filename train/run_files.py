"""A training run's files: their names and what must not change on resuming."""

FORMAT = "dped-build/run"
CONFIG, METRICS = "config.json", "metrics.jsonl"
CHECKPOINT, GENERATOR, BEST = "checkpoint.pt", "generator.pt", "best.pt"
MODELS = (CHECKPOINT, GENERATOR, BEST)
FREE = ("iterations", "device", "checkpoint_every")  # may differ when resuming
