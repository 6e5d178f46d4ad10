/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_SMP_H
#define SHIM_LINUX_SMP_H

#include <linux/cpumask.h>
#include <linux/preempt.h>

int raw_smp_processor_id(void);
/* Aborts where the task could be moved to another CPU meanwhile. */
int smp_processor_id(void);

#define get_cpu() ({ preempt_disable(); smp_processor_id(); })
#define put_cpu() preempt_enable()

#endif
