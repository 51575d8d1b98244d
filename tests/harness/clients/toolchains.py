"""The client programs in other languages, built once by ./dev into its cache."""

import functools
import pathlib
import subprocess

_TOP = pathlib.Path(__file__).resolve().parents[3]
_TOOLCHAIN_IS_MISSING = 3  # exit status of ./dev --client


class Missing(Exception):
    """This machine lacks the toolchain of a client; says which."""


@functools.cache
def _prepare(language):
    done = subprocess.run(["bash", _TOP / "dev", "--client", language], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def prepare(language):
    """The folder with the programs of a language; builds them where that was not done before."""
    status, folder, said = _prepare(language)
    if status == _TOOLCHAIN_IS_MISSING:
        raise Missing(said.splitlines()[-1])
    if status:
        raise RuntimeError(f"./dev --client {language} failed:\n{said[-3000:]}")
    return pathlib.Path(folder)
