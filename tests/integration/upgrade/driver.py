"""Run the module server_upgrade, and be killed as soon as a step stands in the journal: ``driver.py STEP``.

SIGKILL from within comes at the same place every time, which one from outside does not.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from ansible.module_utils.testing import patch_module_args

from ansible_collections.selfhosted.mlflow.plugins.module_utils import upgrade_journal
from ansible_collections.selfhosted.mlflow.plugins.modules import server_upgrade

WRITE = upgrade_journal.write


def write(path: str, journal: upgrade_journal.Journal) -> None:
    """Write the journal, and end at once where it names the step."""
    WRITE(path, journal)
    if journal.step == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    upgrade_journal.write = write
    with patch_module_args(json.load(sys.stdin)):
        server_upgrade.main()
