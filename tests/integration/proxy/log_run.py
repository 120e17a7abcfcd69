"""Log a run with an artifact by MLflow's client, read it back, and print what came: ``log_run.py NAME SIZE``.

NAME is resolved to this machine, whatever the resolver says.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow

NAME, SIZE = sys.argv[1], int(sys.argv[2])
resolve = socket.getaddrinfo


def here(host: Any, *arguments: Any, **named: Any) -> Any:
    """Resolve the proxy's name to the loopback."""
    return resolve("127.0.0.1" if host == NAME else host, *arguments, **named)


def main() -> None:
    """Log, read back, and tell."""
    socket.getaddrinfo = here
    mlflow.set_experiment("through the proxy")
    with tempfile.TemporaryDirectory() as scratch, mlflow.start_run() as run:
        logged = Path(scratch, "large.bin")
        logged.write_bytes(os.urandom(SIZE))
        mlflow.log_metric("m", 1.0)
        mlflow.log_artifact(str(logged))
        read = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/large.bin", dst_path=scratch + "/back")
        hashes = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in (logged, read)]
    print(json.dumps({"run_id": run.info.run_id, "hashes": hashes}))


if __name__ == "__main__":
    main()
