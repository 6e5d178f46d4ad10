/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_LOCKDEP_H
#define SHIM_LINUX_LOCKDEP_H

#include <linux/compiler.h>
#include <linux/types.h>

/*
 * Every lock begins with a struct lockdep_map named dep_map.  What a task
 * holds is a short array in its task_struct, so every assertion is exact, and
 * the order of classes is learnt on the way: an inversion, an irq-unsafe use
 * or a lock of the same class taken twice aborts when it is first possible,
 * not only when it strikes.  See lock.c.
 */
struct lock_class_key {
	unsigned int shim_id;
};

struct lockdep_map {
	struct lock_class_key *key;
	struct lock_class_key own;
	const char *name;
};

enum shim_lock_kind {
	SHIM_LOCK_SPIN,
	SHIM_LOCK_MUTEX,
	SHIM_LOCK_READ,
	SHIM_LOCK_WRITE,
};

#define SHIM_DEP_MAP_INIT(lockname) { .name = #lockname }

static inline void shim_dep_init(struct lockdep_map *map,
				 struct lock_class_key *key, const char *name)
{
	map->key = key;
	map->own.shim_id = 0;
	map->name = name;
}

bool shim_lock_held(const struct lockdep_map *map);
bool shim_lock_held_write(const struct lockdep_map *map);
void shim_assert_held(const struct lockdep_map *map, bool write,
		      const char *file, int line);
void shim_assert_not_held(const struct lockdep_map *map, const char *file,
			  int line);
void shim_assert_none_held(const char *file, int line);

#define lockdep_is_held(l) shim_lock_held(&(l)->dep_map)
#define lockdep_assert_held(l) \
	shim_assert_held(&(l)->dep_map, false, __FILE__, __LINE__)
#define lockdep_assert_held_write(l) \
	shim_assert_held(&(l)->dep_map, true, __FILE__, __LINE__)
#define lockdep_assert_held_read(l) lockdep_assert_held(l)
#define lockdep_assert_held_once(l) lockdep_assert_held(l)
#define lockdep_assert_not_held(l) \
	shim_assert_not_held(&(l)->dep_map, __FILE__, __LINE__)
#define lockdep_assert_none_held_once() \
	shim_assert_none_held(__FILE__, __LINE__)
#define lockdep_assert(cond) BUG_ON(!(cond))
#define lockdep_set_class(l, k) ((void)((l)->dep_map.key = (k)))
#define lockdep_set_class_and_name(l, k, n) \
	((void)((l)->dep_map.key = (k), (l)->dep_map.name = (n)))
#define lockdep_register_key(k) ((void)((k)->shim_id = 0))
#define lockdep_unregister_key(k) ((void)(k))
#define SINGLE_DEPTH_NESTING 1

#include <linux/bug.h>

#endif
