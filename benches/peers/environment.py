"""The virtual environment that peers from PyPI are installed into."""

import subprocess
import venv


def install(home, requirements):
    """The interpreter of an environment in the folder `home` that has what the file `requirements` lists."""
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
    return python
