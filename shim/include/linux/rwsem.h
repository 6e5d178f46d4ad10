/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_RWSEM_H
#define SHIM_LINUX_RWSEM_H

#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/wait.h>
#include <shim/port-types.h>

/* Writers go before readers that come after them, as in the kernel. */
struct rw_semaphore {
	struct lockdep_map dep_map;
	spinlock_t lock;
	int count;		/* readers, or -1 for a writer */
	unsigned int writers_waiting;
	struct wait_queue_head wait;
};

#define __RWSEM_INITIALIZER(name)				\
{								\
	.dep_map = SHIM_DEP_MAP_INIT(name),			\
	.lock = __SPIN_LOCK_UNLOCKED(name.lock),		\
	.wait = __WAIT_QUEUE_HEAD_INITIALIZER((name).wait),	\
}
#define DECLARE_RWSEM(name) \
	struct rw_semaphore name = __RWSEM_INITIALIZER(name)

void shim_rwsem_init(struct rw_semaphore *s, const char *name,
		     struct lock_class_key *key);
void down_read(struct rw_semaphore *s);
int down_read_trylock(struct rw_semaphore *s);
void up_read(struct rw_semaphore *s);
void down_write(struct rw_semaphore *s);
int down_write_trylock(struct rw_semaphore *s);
void up_write(struct rw_semaphore *s);
void downgrade_write(struct rw_semaphore *s);

#define init_rwsem(s)							\
do {									\
	static struct lock_class_key __key;				\
	shim_rwsem_init(s, #s, &__key);					\
} while (0)
#define down_read_killable(s) ({ down_read(s); 0; })
#define down_read_interruptible(s) ({ down_read(s); 0; })
#define down_write_killable(s) ({ down_write(s); 0; })
#define rwsem_is_locked(s) (READ_ONCE((s)->count) != 0)

#endif
