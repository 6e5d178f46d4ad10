/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_MUTEX_H
#define SHIM_LINUX_MUTEX_H

#include <linux/list.h>
#include <linux/lockdep.h>
#include <shim/port-types.h>

struct mutex {
	struct lockdep_map dep_map;
	struct port_lock lock;
};

#define __MUTEX_INITIALIZER(name) { .dep_map = SHIM_DEP_MAP_INIT(name) }
#define DEFINE_MUTEX(name) struct mutex name = __MUTEX_INITIALIZER(name)

void shim_mutex_init(struct mutex *m, const char *name,
		     struct lock_class_key *key);
void shim_mutex_lock(struct mutex *m, int nested);
int mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
void mutex_destroy(struct mutex *m);

#define mutex_init(m)							\
do {									\
	static struct lock_class_key __key;				\
	shim_mutex_init(m, #m, &__key);					\
} while (0)
#define mutex_lock(m) shim_mutex_lock(m, 0)
#define mutex_lock_nested(m, n) shim_mutex_lock(m, n)
#define mutex_lock_io(m) mutex_lock(m)
#define mutex_lock_interruptible(m) ({ mutex_lock(m); 0; })
#define mutex_lock_killable(m) ({ mutex_lock(m); 0; })
#define mutex_is_locked(m) port_lock_is_locked(&(m)->lock)

#endif
