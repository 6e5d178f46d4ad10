/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/ktime.h>
#define local_clock() ktime_get_ns()
#define sched_clock() ktime_get_ns()
