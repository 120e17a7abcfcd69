# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that MLflow's client takes a user's name and password from.

Source: MLflow's mlflow/utils/credentials.py, alike from 2.22.5 to 3.17.2: ``~/.mlflow/credentials``, read by
configparser with interpolation.
"""

from __future__ import annotations

import configparser
import io
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

FILE = ".mlflow/credentials"
_SECTION = "mlflow"
_NAMES = ("mlflow_tracking_username", "mlflow_tracking_password")


def _parse(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        # Neither MLflow could read it.
        return configparser.ConfigParser(interpolation=None)
    return parser


def render(present: str, username: str, password: str) -> str:
    """Return the file's text with name and password; whatever else it says is kept, comments are not."""
    parser = _parse(present)
    wanted = {name: value.replace("%", "%%") for name, value in zip(_NAMES, (username, password))}
    if not parser.has_section(_SECTION):
        parser.add_section(_SECTION)
    elif all(parser.get(_SECTION, name, fallback="") == value for name, value in wanted.items()):
        return present
    parser[_SECTION].update(wanted)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


@contextmanager
def acting_as(account: pwd.struct_passwd) -> Iterator[None]:
    """Have the rights of an account, for what is in its own directory: a link there may lead anywhere."""
    if os.geteuid() != 0 or account.pw_uid == 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups(os.getgrouplist(account.pw_name, account.pw_gid))
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
