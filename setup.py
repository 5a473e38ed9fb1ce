"""What setup.cfg cannot hold: the inner loops in C."""

from setuptools import Extension, setup

FLAGS = [
    *("-O3", "-fopenmp-simd", "-ffp-contract=fast", "-fno-math-errno"),
    *("-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"),
]

setup(
    ext_modules=[
        Extension(
            "dped_build.compiled.kernels",
            ["compiled/block_sums.c", "compiled/grid_samples.c"],
            depends=["compiled/vectorised.h"],
            extra_compile_args=FLAGS,
            optional=True,  # without a C compiler NumPy does the same
        )
    ]
)
