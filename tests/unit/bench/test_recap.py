from __future__ import annotations

import pytest

from bench.recap import Recap, Trips, recaps, trips

OUTPUT = """
PLAY [Refuse bad input] ********************************************************

TASK [Gather the facts] ********************************************************
task path: /x/site.yml:11
<10.0.0.10> ESTABLISH SSH CONNECTION FOR USER: root
<10.0.0.10> SSH: EXEC ssh -C -o ControlMaster=auto 10.0.0.10 '/bin/sh -c python3'
<10.0.0.11> SSH: EXEC ssh -C -o ControlMaster=auto 10.0.0.11 '/bin/sh -c python3'
ok: [nas] => {

TASK [mlflow_server : Preflight | Decide on the controller] ********************
skipping: [nas] => {"changed": false}
ok: [server] => {"msg": "<10.0.0.11> SSH: EXEC is only quoted here"}
ok: [server] => {"msg": "this one didn't go anywhere"}

TASK [mlflow_server : Configure | Write files] *********************************
<10.0.0.11> SSH: EXEC ssh 10.0.0.11 stat
<10.0.0.11> SSH: EXEC sftp -b - 10.0.0.11
changed: [server] => (item=mount) => {
<10.0.0.99> SSH: EXEC ssh 10.0.0.99 somebody else's host
<10.0.0.11> SSH: EXEC ssh 10.0.0.11 stat
ok: [server] => (item=automount) => {

RUNNING HANDLER [mlflow_server : Restart mlflow] *******************************
<10.0.0.11> SSH: EXEC ssh 10.0.0.11 restart
failed: [server -> nas] => {

PLAY RECAP *********************************************************************
nas                        : ok=12   changed=0    unreachable=0    failed=0    skipped=3    rescued=0    ignored=0
server                     : ok=27   changed=2    unreachable=0    failed=1    skipped=0    rescued=0    ignored=0
"""


def test_the_recap_is_read_for_each_host() -> None:
    assert recaps(OUTPUT) == {
        "nas": Recap(ok=12, changed=0, skipped=3, failed=0, unreachable=0),
        "server": Recap(ok=27, changed=2, skipped=0, failed=1, unreachable=0),
    }
    assert recaps(OUTPUT)["nas"].tasks == 15


@pytest.mark.parametrize("output", ["", "ERROR! no such playbook", "PLAY RECAP ****\n"])
def test_output_without_a_recap_is_refused(output: str) -> None:
    with pytest.raises(ValueError, match="without a recap"):
        recaps(output)


def test_trips_are_counted_by_host_and_by_task() -> None:
    addresses = {"nas": "10.0.0.10", "server": "10.0.0.11", "client": "10.0.0.12"}
    assert trips(OUTPUT, addresses) == {"nas": Trips(1, 1), "server": Trips(3, 5), "client": Trips(0, 0)}
