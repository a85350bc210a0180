"""Write ``requirements.lock`` from the dependencies in ``setup.cfg`` (needs ``uv``).

One file, two parts: what the service runs on, then what tests and development add to it. Both
hold for every Python and platform the project supports, each package with its checksums.
"""

from __future__ import annotations

__all__ = ["main"]

import configparser
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = "setuptools >=65\n"
NOTICE = "# Written by deploy/lock.py from setup.cfg; do not edit.\n"
RUNTIME = "# === runtime: what the service runs on\n"
TESTING = "# === test: what tests and development need besides\n"
COMPILE = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
FORM = ["--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-header"]


def compiled(requirements: str, folder: Path, *options: str) -> list[str]:
    """Locked entries, one text a package with its checksums."""
    source, locked = folder / "wanted.in", folder / "locked.txt"
    source.write_text(requirements)
    subprocess.run([*COMPILE, *FORM, "--no-annotate", *options, source, "-o", locked], check=True)
    return re.split(r"\n(?=[a-z0-9])", locked.read_text().strip())


def main() -> None:
    """Resolve both parts, the second within the versions of the first."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    wanted = config["options"]["install_requires"].strip() + "\n" + BUILD
    extras = config["options.extras_require"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runtime = compiled(wanted, folder)
        limits = folder / "limits.txt"
        limits.write_text("\n".join(entry.partition(" \\")[0] for entry in runtime))
        everything = "\n".join((wanted, extras["test"].strip(), extras["dev"].strip()))
        more = compiled(everything + "\n", folder, "--constraint", str(limits))
    known = {entry.partition(" \\")[0] for entry in runtime}
    rest = [entry for entry in more if entry.partition(" \\")[0] not in known]
    text = NOTICE + RUNTIME + "\n".join(runtime) + "\n" + TESTING + "\n".join(rest) + "\n"
    (ROOT / "requirements.lock").write_text(text)


if __name__ == "__main__":
    main()
