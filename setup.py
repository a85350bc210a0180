"""What setup.cfg cannot say: compiled parts that are left out where they cannot be made."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "schemas._frames",
            [f"schemas/_frames{part}.c" for part in ("", "_pack", "_columns", "_text")],
            depends=["schemas/_frames.h"],
            extra_compile_args=["-O3"],
            optional=True,
            py_limited_api=True,
        ),
        Extension(
            "reduction._resample",
            [f"reduction/_resample{part}.c" for part in ("", "_prepare")],
            depends=["reduction/_resample.h"],
            extra_compile_args=["-O3"],
            optional=True,
            py_limited_api=True,
        ),
        Extension(
            "reduction._combine",
            ["reduction/_combine.c"],
            # the bits of numpy: no fused operations; nobody asks for errno or for signals
            extra_compile_args=[
                *("-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
            ],
            optional=True,
            py_limited_api=True,
        ),
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
