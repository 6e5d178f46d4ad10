/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_TIMER_H
#define SHIM_LINUX_TIMER_H

#include <linux/jiffies.h>
#include <linux/list.h>

struct timer_list {
	struct list_head entry;		/* on the list of armed timers */
	unsigned long expires;
	void (*function)(struct timer_list *timer);
	u32 flags;
	bool armed;
	bool shutdown;
};

#define TIMER_DEFERRABLE 0
#define TIMER_IRQSAFE 0

void shim_timer_setup(struct timer_list *timer,
		      void (*function)(struct timer_list *), u32 flags);
#define timer_setup(t, fn, flags) shim_timer_setup(t, fn, flags)
#define timer_setup_on_stack(t, fn, flags) shim_timer_setup(t, fn, flags)
#define destroy_timer_on_stack(t) ((void)(t))
#define from_timer(var, timer, field) \
	container_of(timer, __typeof__(*(var)), field)
#define timer_container_of(var, timer, field) from_timer(var, timer, field)

int mod_timer(struct timer_list *timer, unsigned long expires);
int mod_timer_pending(struct timer_list *timer, unsigned long expires);
int timer_reduce(struct timer_list *timer, unsigned long expires);
void add_timer(struct timer_list *timer);
int shim_timer_delete(struct timer_list *timer);
int timer_delete_sync(struct timer_list *timer);
int timer_shutdown(struct timer_list *timer);
int timer_shutdown_sync(struct timer_list *timer);
int timer_pending(const struct timer_list *timer);

#define timer_delete(t) shim_timer_delete(t)
#define del_timer(t) shim_timer_delete(t)
#define del_timer_sync(t) timer_delete_sync(t)

#endif
