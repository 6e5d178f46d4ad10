/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_DELAY_H
#define SHIM_LINUX_DELAY_H

#include <linux/sched.h>

void msleep(unsigned int ms);
void usleep_range(unsigned long min_us, unsigned long max_us);

#define fsleep(us) usleep_range(us, us)
#define udelay(us) ((void)(us))
#define ndelay(ns) ((void)(ns))
#define cpu_relax() cond_resched()

#endif
