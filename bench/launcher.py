"""Run a command and write down what it used: `launcher.py OUT COMMAND ...`.

A process of its own because Linux counts the size of the process that starts a command
into the command's peak memory; this one is small.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    start = time.perf_counter()
    process = subprocess.Popen(sys.argv[2:])
    _, status, used = os.wait4(process.pid, 0)
    figures = {
        "wall_s": time.perf_counter() - start,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
    }
    Path(sys.argv[1]).write_text(json.dumps(figures), encoding="utf-8")
    process.returncode = os.waitstatus_to_exitcode(status)
    sys.exit(process.returncode)
