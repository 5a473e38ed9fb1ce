"""What setup.cfg cannot hold: the inner loops in C."""

from pathlib import Path

from setuptools import Extension, setup

FLAGS = [
    *("-O3", "-fopenmp-simd", "-ffp-contract=fast", "-fno-math-errno"),
    *("-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"),
    "-fno-wrapv",  # against what Python adds: it keeps loops from being vectorised
]

setup(
    script_name="setup.py",  # pip hides it; without, it is taken for a module
    ext_modules=[
        Extension(
            "dped_build.compiled.kernels",
            sorted(map(str, Path("compiled").glob("*.c"))),
            depends=[*map(str, Path("compiled").glob("*.h"))],
            extra_compile_args=FLAGS,
            optional=True,  # without a C compiler NumPy does the same
        )
    ],
)
