/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_IRQFLAGS_H
#define SHIM_LINUX_IRQFLAGS_H

#include <linux/compiler.h>
#include <linux/types.h>

/*
 * No interrupt strikes a task here: completions and timers run in tasks of
 * their own that say of themselves that they are interrupts.  What is kept is
 * the state, for the checks of lock.c.
 */
unsigned long shim_irq_save(void);
void shim_irq_restore(unsigned long flags);
void local_irq_disable(void);
void local_irq_enable(void);
bool irqs_disabled(void);
void local_bh_disable(void);
void local_bh_enable(void);

#define local_irq_save(flags)						\
do {									\
	_Static_assert(sizeof(flags) == sizeof(unsigned long), "flags"); \
	(flags) = shim_irq_save();					\
} while (0)
#define local_irq_restore(flags) shim_irq_restore(flags)
#define lockdep_assert_irqs_disabled() BUG_ON(!irqs_disabled())
#define lockdep_assert_irqs_enabled() BUG_ON(irqs_disabled())

#include <linux/bug.h>

#endif
