// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Spinlocks that do nothing but lock. The shim's check the order of locks and the context
 * at each acquisition, as the kernel does only when it is built for that; the linker puts
 * these before them.
 */
#include <linux/lockdep.h>
#include <linux/spinlock.h>

void __wrap_shim_spin_lock(spinlock_t *lock, int nested);
bool __wrap_shim_spin_trylock(spinlock_t *lock);
void __wrap_shim_spin_unlock(spinlock_t *lock);
void __wrap_shim_assert_held(const struct lockdep_map *map, bool write, const char *file,
			     int line);

void __wrap_shim_spin_lock(spinlock_t *lock, int nested)
{
	port_lock(&lock->lock, true);
}

bool __wrap_shim_spin_trylock(spinlock_t *lock)
{
	return port_trylock(&lock->lock);
}

void __wrap_shim_spin_unlock(spinlock_t *lock)
{
	port_unlock(&lock->lock);
}

/* It is not known who holds what. */
void __wrap_shim_assert_held(const struct lockdep_map *map, bool write, const char *file,
			     int line)
{
}
