/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_RATELIMIT_H
#define SHIM_LINUX_RATELIMIT_H

#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/types.h>
#include <shim/port-types.h>

struct ratelimit_state {
	struct port_lock lock;
	int interval;		/* jiffies */
	int burst;
	int printed;
	int missed;
	bool begun;
	unsigned long begin;
};

#define DEFAULT_RATELIMIT_INTERVAL (5 * HZ)
#define DEFAULT_RATELIMIT_BURST 10
#define RATELIMIT_STATE_INIT(name, i, b) { .interval = (i), .burst = (b) }
#define DEFINE_RATELIMIT_STATE(name, i, b) \
	struct ratelimit_state name = RATELIMIT_STATE_INIT(name, i, b)

void ratelimit_state_init(struct ratelimit_state *rs, int interval, int burst);
int ___ratelimit(struct ratelimit_state *rs, const char *func);
#define __ratelimit(rs) ___ratelimit(rs, __func__)

#endif
