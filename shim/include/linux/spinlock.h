/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_SPINLOCK_H
#define SHIM_LINUX_SPINLOCK_H

#include <linux/irqflags.h>
#include <linux/lockdep.h>
#include <linux/preempt.h>
#include <asm/barrier.h>
#include <shim/port-types.h>

typedef struct spinlock {
	struct lockdep_map dep_map;
	struct port_lock lock;
} spinlock_t;

typedef spinlock_t raw_spinlock_t;

#define __SPIN_LOCK_UNLOCKED(name) \
	{ .dep_map = SHIM_DEP_MAP_INIT(name) }
#define DEFINE_SPINLOCK(name) spinlock_t name = __SPIN_LOCK_UNLOCKED(name)

void shim_spin_init(spinlock_t *lock, const char *name,
		    struct lock_class_key *key);
void shim_spin_lock(spinlock_t *lock, int nested);
bool shim_spin_trylock(spinlock_t *lock);
void shim_spin_unlock(spinlock_t *lock);

#define spin_lock_init(l)						\
do {									\
	static struct lock_class_key __key;				\
	shim_spin_init(l, #l, &__key);					\
} while (0)

#define spin_lock(l) shim_spin_lock(l, 0)
#define spin_lock_nested(l, n) shim_spin_lock(l, n)
#define spin_trylock(l) shim_spin_trylock(l)
#define spin_unlock(l) shim_spin_unlock(l)

static inline void spin_lock_bh(spinlock_t *lock)
{
	local_bh_disable();
	spin_lock(lock);
}

static inline void spin_unlock_bh(spinlock_t *lock)
{
	spin_unlock(lock);
	local_bh_enable();
}

static inline void spin_lock_irq(spinlock_t *lock)
{
	local_irq_disable();
	spin_lock(lock);
}

static inline void spin_unlock_irq(spinlock_t *lock)
{
	spin_unlock(lock);
	local_irq_enable();
}

#define spin_lock_irqsave(l, flags)					\
do {									\
	local_irq_save(flags);						\
	spin_lock(l);							\
} while (0)
#define spin_lock_irqsave_nested(l, flags, n)				\
do {									\
	local_irq_save(flags);						\
	spin_lock_nested(l, n);						\
} while (0)
#define spin_unlock_irqrestore(l, flags)				\
do {									\
	spin_unlock(l);							\
	local_irq_restore(flags);					\
} while (0)
#define spin_trylock_irqsave(l, flags)					\
({									\
	bool __st_ok;							\
	local_irq_save(flags);						\
	__st_ok = spin_trylock(l);					\
	if (!__st_ok)							\
		local_irq_restore(flags);				\
	__st_ok;							\
})

#define spin_is_locked(l) port_lock_is_locked(&(l)->lock)
#define assert_spin_locked(l) lockdep_assert_held(l)
#define cond_resched_lock(l) ({ lockdep_assert_held(l); 0; })

#define raw_spin_lock_init(l) spin_lock_init(l)
#define raw_spin_lock(l) spin_lock(l)
#define raw_spin_unlock(l) spin_unlock(l)
#define raw_spin_lock_irqsave(l, f) spin_lock_irqsave(l, f)
#define raw_spin_unlock_irqrestore(l, f) spin_unlock_irqrestore(l, f)

#endif
