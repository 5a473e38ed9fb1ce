"""What belongs to a whole process; run, it says which of it some imports change."""

import importlib
import json
import logging
import os
import signal
import sys
import warnings

import cv2
import joblib  # noqa: F401  # which sets a variable when it is imported
import threadpoolctl  # noqa: F401  # likewise
import torch
from PIL import Image

LOGGERS = ("", "PIL", "dped_build", "asyncio", "distributed.worker")


def process_state():
    """Of this process, what the package has reason to change for a while."""
    found = {
        "MAX_IMAGE_PIXELS": Image.MAX_IMAGE_PIXELS,
        "excepthook": repr(sys.excepthook),
        **{f"${name}": value for name, value in os.environ.items()},
        "warnings": [repr(each) for each in warnings.filters],
        "OpenCV's threads": cv2.getNumThreads(),
        "torch's threads": torch.get_num_threads(),
        "default type": str(torch.get_default_dtype()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "TF32 of products": torch.backends.cuda.matmul.allow_tf32,
        "TF32 of convolutions": torch.backends.cudnn.allow_tf32,
        "cuDNN's choice": torch.backends.cudnn.benchmark,
    }
    for number in (signal.SIGINT, signal.SIGTERM):
        found[number.name] = repr(signal.getsignal(number))
    for name in LOGGERS:
        logger = logging.getLogger(name)
        found[f"log {name}"] = [logger.level, *map(repr, logger.handlers)]
    return found


def changes_since(before):
    """Name → [before, now] of what is no longer as it was."""
    now = process_state()
    pairs = {name: [before.get(name), now.get(name)] for name in before | now}
    return {name: [old, new] for name, (old, new) in pairs.items() if old != new}


def changed_by_import(others, own):
    """What importing `own` changes, once `others` are there."""
    for name in others:
        importlib.import_module(name)
    before = process_state()
    for name in own:
        importlib.import_module(name)
    return changes_since(before)


if __name__ == "__main__":
    print(json.dumps(changed_by_import(*json.load(sys.stdin))))
