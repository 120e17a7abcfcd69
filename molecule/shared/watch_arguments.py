"""Write down every process of this host whose arguments hold a planted secret, looking a hundred times a second."""

from __future__ import annotations

import glob
import os
import time

# Not as one word, for this file may be looked through as well.
MARK = ("PL4" + "NTED").encode()
FOUND = "/run/lab-arguments"


def main() -> None:
    """Look until stopped; the file is there from the beginning, as a sign that somebody looks."""
    known: set[bytes] = set()
    with open(FOUND, "wb", buffering=0) as found:
        os.chmod(FOUND, 0o600)
        while True:
            for path in glob.glob("/proc/[0-9]*/cmdline"):
                try:
                    with open(path, "rb") as stream:
                        arguments = stream.read().replace(b"\0", b" ")
                except OSError:
                    continue
                if MARK in arguments and arguments not in known:
                    known.add(arguments)
                    found.write(arguments + b"\n")
            time.sleep(0.01)


if __name__ == "__main__":
    main()
