#!/usr/bin/env bash
# Measures everything about the trainer on a machine with one NVIDIA GPU, in 7 minutes.
#
#   bench/gpu.sh                 every part; the report is printed last
#   bench/gpu.sh --plan          the parts and their seconds, without running them
#   bench/gpu.sh --parts checks,photos --seconds 120
#   bench/gpu.sh --small         the same in miniature on a CPU
#
# Nothing is installed: Python 3.11 or later with torch, triton, numpy, scipy, h5py, Pillow,
# msgspec, filelock, tqdm, tensorboard and threadpoolctl must be there, OpenCV need not.
# What is missing may lie in .whl/ as wheels; msgspec's is 0.2 MB:
#   pip download --no-deps --only-binary=:all: --python-version 3.12 \
#     --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 -d .whl msgspec
#
# Real patches, which the repository does not hold, are taken from .gpu-data/ (or --data):
#   dped/iphone/N.jpg, dped/canon/N.jpg    DPED's pairs of 100 x 100 px (400 are 4 MB)
#   city100/                               a `patches` folder (8 photos' are 17 MB)
#
# Into $OUT, or gpu-results/: report.md, results.jsonl (every figure as it came),
# kernels.md (what takes a step's time) and log.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ " $* " == *" --help "* || " $* " == *" -h "* ]] && sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' bench/gpu.sh
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
command -v "$python" >/dev/null || { echo "gpu.sh: no $python; name one: PYTHON=... bench/gpu.sh" >&2; exit 1; }

site=build/gpu # the package under its name, and what its version is read from
mkdir -p "$site/dped_build-0.dist-info"
ln -sfn ../.. "$site/dped_build"
version=$(sed -n 's/^version = //p' setup.cfg)
printf 'Metadata-Version: 2.1\nName: dped-build\nVersion: %s\n' "$version" \
  >"$site/dped_build-0.dist-info/METADATA"
if compgen -G '.whl/*.whl' >/dev/null; then
  "$python" -m pip install -q --no-index --no-deps --no-compile --upgrade \
    --target "$site/wheels" .whl/*.whl
fi
export PYTHONPATH=$PWD/$site:$PWD/$site/wheels${PYTHONPATH:+:$PYTHONPATH}
export PYTHONUNBUFFERED=1
exec "$python" bench/gpu.py "$@"
