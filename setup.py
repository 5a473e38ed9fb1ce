"""What setup.cfg cannot hold: the inner loops in C."""

from setuptools import Extension, setup

FLAGS = [
    # Python's own -fwrapv keeps loops over int from being vectorised.
    *("-O3", "-fno-wrapv", "-fopenmp-simd", "-ffp-contract=fast", "-fno-math-errno"),
    *("-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"),
]

setup(
    ext_modules=[
        Extension(
            "dped_build.compiled.kernels",
            [f"compiled/{name}.c" for name in ("block_sums", "grid_samples")],
            depends=["compiled/vectorised.h"],
            extra_compile_args=FLAGS,
            optional=True,  # without a C compiler NumPy does the same
        )
    ]
)
