/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_TOPOLOGY_H
#define SHIM_LINUX_TOPOLOGY_H

#define numa_node_id() 0
#define cpu_to_node(cpu) 0

#endif
