"""How good a generator is (`evaluate`) and how fast (`benchmark`)."""
