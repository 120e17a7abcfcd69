"""Lets the unit tests import the collection under the name Ansible gives it."""

from __future__ import annotations

import sys

from tools import stage

stage.link()
sys.path.insert(0, str(stage.LINKED))
