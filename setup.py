"""What setup.cfg cannot say: a compiled part that is left out where it cannot be made."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "schemas._frames",
            ["schemas/_frames.c", "schemas/_frames_text.c"],
            extra_compile_args=["-O3"],
            optional=True,
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
