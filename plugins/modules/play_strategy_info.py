# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: play_strategy_info
short_description: Tell whether the hosts of a play go in step
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Tells which strategy the play runs by, and whether every host finishes a task before any host begins the next.
  - Where hosts don't go in step, a task with C(run_once) is run for every host, and each host's result overwrites
    that of all others. So write C(run_once) as a template of RV(in_step), as the example shows.
  - Runs on the controller only.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ansible.builtin.action_common_attributes.conn
  - ansible.builtin.action_common_attributes.flow
attributes:
  action:
    support: full
  async:
    support: none
  become:
    support: none
  bypass_host_loop:
    support: none
  check_mode:
    support: full
  connection:
    support: none
  delegation:
    support: none
  diff_mode:
    support: none
  platform:
    platforms: posix
    support: full
seealso:
  - name: Playbook strategies
    description: What linear, free and host_pinned mean.
    link: https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_strategies.html
"""

EXAMPLES = r"""
- name: See whether the hosts go in step
  selfhosted.mlflow.play_strategy_info:
  run_once: true
  register: strategy

- name: Ask the server once for all, or once for each host
  ansible.builtin.uri:
    url: http://mlflow.example.org:5000/version
    return_content: true
  delegate_to: localhost
  run_once: "{{ strategy.in_step }}"
  register: version
"""

RETURN = r"""
strategy:
  description: The play's strategy, as the play or the configuration names it.
  returned: always
  type: str
  sample: linear
in_step:
  description:
    - Whether every host finishes a task before any host begins the next.
    - Not so with V(free), V(host_pinned) and what is called after them.
  returned: always
  type: bool
"""
