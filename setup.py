"""What setup.cfg cannot hold: the inner loops in C."""

from glob import glob

from setuptools import Extension, setup

FLAGS = [
    *("-O3", "-fopenmp-simd", "-ffp-contract=fast", "-fno-math-errno"),
    *("-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"),
    "-fno-wrapv",  # against what Python adds: it keeps loops from being vectorised
]

setup(
    ext_modules=[
        Extension(
            "dped_build.compiled.kernels",
            sorted(glob("compiled/*.c")),
            depends=glob("compiled/*.h"),
            extra_compile_args=FLAGS,
            optional=True,  # without a C compiler NumPy does the same
        )
    ]
)
