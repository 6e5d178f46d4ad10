/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_PREEMPT_H
#define SHIM_LINUX_PREEMPT_H

#include <linux/types.h>

/*
 * These forbid sleeping and, behind port-sim, a change of CPU; they do not
 * keep another thread of the same CPU number out.
 */
void preempt_disable(void);
void preempt_enable(void);
void migrate_disable(void);
void migrate_enable(void);
int preempt_count(void);
bool in_hardirq(void);
bool in_serving_softirq(void);
bool in_interrupt(void);
bool in_task(void);
bool in_atomic(void);

#define in_irq() in_hardirq()
#define in_softirq() in_serving_softirq()
#define preempt_enable_no_resched() preempt_enable()

#endif
