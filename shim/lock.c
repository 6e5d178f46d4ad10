// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Locks, contexts, and the rules about them.
 *
 * A lock belongs to a class: the place in the source that initialised it, or
 * itself when it is a static one.  For every class there is the set of classes
 * that were ever held when one of it was taken (before[]); taking a lock adds
 * to it what is held now, and a cycle aborts.  Two more sets tell which classes
 * were taken in an interrupt and which with interrupts enabled; a class in both
 * could deadlock against itself, and so could one of the second kind taken
 * inside one of the first.  The same for timers ("softirq").  Classes beyond
 * the 63rd are not tracked.
 *
 * All of this is learnt and checked at each acquisition with a few loads; only
 * what is new costs more.
 *
 * One class is no lock: to wait for I/O that reclaim has started, as an allocation
 * with __GFP_IO or __GFP_FS may (RECLAIM).  See shim_check_alloc().  Nor are the
 * classes of work items and of work queues: a work function runs as if it held both,
 * and to wait for an item or a queue is to take its class for a moment.  So a wait
 * for what needs a lock that is held is found as any other order of locks.
 */
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>
#include <shim/host.h>

#include "port.h"
#include "shim-core.h"

#define MAX_CLASSES 64
#define NO_CLASS 0
#define RECLAIM 1
#define FIRST_CLASS 2

static struct port_lock class_lock;
static unsigned int nr_classes = FIRST_CLASS, first_class_id = 1;
static u64 before[MAX_CLASSES];
static const char *class_name[MAX_CLASSES] = {
	[RECLAIM] = "an allocation that may wait for I/O",
};

/* Classes taken in an interrupt / with them enabled: [0] hard, [1] soft. */
static u64 used_in[2], used_with[2];

static noinline unsigned int new_class(struct lock_class_key *key, const char *name)
{
	unsigned int id, first;

	port_lock(&class_lock, true);
	id = key->shim_id;
	if (id < first_class_id) {
		id = first_class_id + nr_classes;
		if (nr_classes < MAX_CLASSES)
			WRITE_ONCE(class_name[nr_classes], name);
		nr_classes++;
		__atomic_store_n(&key->shim_id, id, __ATOMIC_RELAXED);
	}
	first = first_class_id;
	port_unlock(&class_lock);
	return id - first;
}

static inline unsigned int class_of(const struct lockdep_map *map)
{
	struct lock_class_key *key = map->key;
	unsigned int id, first;

	if (!key)
		key = (struct lock_class_key *)&map->own;
	id = __atomic_load_n(&key->shim_id, __ATOMIC_RELAXED);
	first = READ_ONCE(first_class_id);
	id = likely(id >= first) ? id - first : new_class(key, map->name);
	return id < MAX_CLASSES ? id : NO_CLASS;
}

void shim_forget_lock_order(void)
{
	port_lock(&class_lock, true);
	WRITE_ONCE(first_class_id, first_class_id + nr_classes);
	nr_classes = FIRST_CLASS;
	for (int i = 0; i < MAX_CLASSES; i++)
		WRITE_ONCE(before[i], 0);
	for (int i = 0; i < 2; i++) {
		WRITE_ONCE(used_in[i], 0);
		WRITE_ONCE(used_with[i], 0);
	}
	port_unlock(&class_lock);
}

static const char *name_of_class(unsigned int class)
{
	return READ_ONCE(class_name[class]) ?: "?";
}

/* All classes that were ever held, directly or not, when @class was taken. */
static u64 all_before(unsigned int class)
{
	u64 set = READ_ONCE(before[class]), done = 0, more;

	while ((more = set & ~done)) {
		unsigned int i = __builtin_ctzll(more);

		done |= 1ULL << i;
		set |= READ_ONCE(before[i]);
	}
	return set;
}

/* Was it new? */
static bool learn(u64 *set, u64 bits)
{
	if ((READ_ONCE(*set) & bits) == bits)
		return false;
	__atomic_fetch_or(set, bits, __ATOMIC_RELAXED);
	return true;
}

static bool serves_io(const struct task_struct *task)
{
	return task->serves_io || task->bio_list;
}

static void check_held(u64 held, unsigned int class)
{
	u64 fresh = held & ~READ_ONCE(before[class]);

	while (unlikely(fresh)) {
		unsigned int other = __builtin_ctzll(fresh);

		fresh &= fresh - 1;
		if (all_before(other) & (1ULL << class))
			shim_bug("lock order: %s under %s, which was under it before",
				 name_of_class(class), name_of_class(other));
	}
	learn(&before[class], held);
	for (int i = 0; i < 2; i++)
		if ((READ_ONCE(used_with[i]) & (1ULL << class)) &&
		    (held & READ_ONCE(used_in[i])))
			shim_bug("%s, taken elsewhere with interrupts enabled, under a lock that interrupts take",
				 name_of_class(class));
}

static inline void check_order(struct task_struct *task, unsigned int class, bool nested)
{
	u64 held = task->inside & ~(1ULL << class);

	if (serves_io(task))
		held |= 1ULL << RECLAIM;

	for (int i = 0; i < task->nr_held; i++) {
		unsigned int other = task->held[i].class;

		if (other == class && !nested)
			shim_bug("%s taken twice, by two locks of one class",
				 name_of_class(class));
		if (other != class && other != NO_CLASS)
			held |= 1ULL << other;
	}
	if (held)
		check_held(held, class);
}

static void check_irq(struct task_struct *task, unsigned int class)
{
	u64 bit = 1ULL << class;
	bool hard_off = task->hardirq || task->irq_disabled, new = false;

	if (task->hardirq)
		new |= learn(&used_in[0], bit);
	else if (task->softirq)
		new |= learn(&used_in[1], bit);
	if (!hard_off)
		new |= learn(&used_with[0], bit);
	if (!hard_off && !task->softirq && !task->bh_disabled)
		new |= learn(&used_with[1], bit);
	for (int i = 0; new && i < 2; i++)
		if (READ_ONCE(used_in[i]) & READ_ONCE(used_with[i]) & bit)
			shim_bug("%s is taken in %s and also with them enabled",
				 name_of_class(class),
				 i ? "timers" : "interrupts");
}

static void push_held(struct task_struct *task, const struct lockdep_map *map,
		      enum shim_lock_kind kind, unsigned int class)
{
	if (task->nr_held == SHIM_MAX_HELD)
		shim_bug("more than %d locks held", SHIM_MAX_HELD);
	task->held[task->nr_held].map = map;
	task->held[task->nr_held].kind = kind;
	task->held[task->nr_held].class = class;
	task->nr_held++;
}

static int find_held(const struct task_struct *task,
		     const struct lockdep_map *map)
{
	for (int i = task->nr_held - 1; i >= 0; i--)
		if (task->held[i].map == map)
			return i;
	return -1;
}

/* Before the lock is waited for, or after a trylock that got it. */
static inline void acquire(const struct lockdep_map *map, enum shim_lock_kind kind,
		    bool try, bool nested)
{
	struct task_struct *task = current;
	unsigned int class;

	if (!map->name)
		shim_bug("a lock is used that was never initialised");
	if (find_held(task, map) >= 0)
		shim_bug("%s taken by the task that holds it", map->name);
	class = class_of(map);
	if (class != NO_CLASS) {
		if (!try)
			check_order(task, class, nested);
		if (kind == SHIM_LOCK_SPIN)
			check_irq(task, class);
	}
	push_held(task, map, kind, class);
	if (kind == SHIM_LOCK_SPIN)
		task->preempt++;
}

static void release(const struct lockdep_map *map, enum shim_lock_kind kind)
{
	struct task_struct *task = current;
	int i = find_held(task, map);

	if (i < 0)
		shim_bug("%s unlocked by a task that does not hold it",
			 map->name ?: "an uninitialised lock");
	if (task->held[i].kind != kind)
		shim_bug("%s unlocked in another way than locked", map->name);
	task->nr_held--;
	for (; i < task->nr_held; i++)
		task->held[i] = task->held[i + 1];
	if (kind == SHIM_LOCK_SPIN)
		task->preempt--;
}

bool shim_lock_held(const struct lockdep_map *map)
{
	return find_held(current, map) >= 0;
}

bool shim_lock_held_write(const struct lockdep_map *map)
{
	int i = find_held(current, map);

	return i >= 0 && current->held[i].kind != SHIM_LOCK_READ;
}

void shim_assert_held(const struct lockdep_map *map, bool write,
		      const char *file, int line)
{
	if (write ? !shim_lock_held_write(map) : !shim_lock_held(map))
		shim_bug("%s is not held at %s:%d", map->name ?: "?", file,
			 line);
}

void shim_assert_not_held(const struct lockdep_map *map, const char *file,
			  int line)
{
	if (shim_lock_held(map))
		shim_bug("%s is held at %s:%d", map->name, file, line);
}

void shim_assert_none_held(const char *file, int line)
{
	if (current->nr_held)
		shim_bug("locks are held at %s:%d", file, line);
}

void shim_log_held(struct task_struct *task)
{
	for (int i = 0; i < task->nr_held; i++)
		pr_emerg("  holds %s\n", task->held[i].map->name);
}

void shim_task_exit_check(struct task_struct *task)
{
	if (task->nr_held)
		shim_bug("the task ends with a lock held");
	if (task->preempt || task->no_migrate || task->irq_disabled ||
	    task->bh_disabled || task->hardirq || task->softirq)
		shim_bug("the task ends in atomic context");
	if (task->flags & (PF_MEMALLOC | PF_MEMALLOC_NOIO | PF_MEMALLOC_NOFS))
		shim_bug("the task ends in a memalloc scope");
	if (task->plug)
		shim_bug("the task ends with a plug");
}

void shim_might_sleep(const char *file, int line)
{
	struct task_struct *task = current;

	if (in_atomic() || irqs_disabled())
		shim_bug("sleeping in atomic context at %s:%d", file, line);
	WARN_ONCE(READ_ONCE(task->state) != TASK_RUNNING,
		  "blocking at %s:%d while in a wait\n", file, line);
}

/*
 * Which allocations are forbidden where.  What counts are the flags that are left
 * in a memalloc scope.
 *
 * In atomic context (a spinlock, preemption or interrupts disabled, an interrupt,
 * so also bi_end_io, a timer): __GFP_DIRECT_RECLAIM, which sleeps.
 *
 * In a task that serves I/O: __GFP_IO and __GFP_FS together with it, since reclaim
 * would wait for I/O that waits for this task.  Such tasks are
 * - one on its way down with a bio (submit_bio(), a target's map function);
 * - a work item of a queue with WQ_MEM_RECLAIM;
 * - from presuspend to the end of postsuspend, in preresume and resume: the device
 *   keeps bios back meanwhile;
 * - a target's message and status function: a suspend that has begun waits for
 *   them, and bios wait for the suspend.
 *
 * With a lock held that such a task takes, or under which another one is held that
 * it takes: the same.  This is the order of locks, if to serve I/O is taken for
 * holding RECLAIM, and to allocate for taking it.
 */
void shim_check_alloc(gfp_t gfp)
{
	struct task_struct *task = current;

	if (!gfpflags_allow_blocking(gfp))
		return;
	might_sleep();
	if (!(current_gfp_context(gfp) & (__GFP_IO | __GFP_FS)) || (task->flags & PF_MEMALLOC))
		return;
	if (serves_io(task))
		shim_bug("an allocation that may wait for I/O, in a task that serves I/O");
	check_order(task, RECLAIM, false);
}

bool shim_serves_io(void)
{
	return serves_io(current) || current->hardirq;
}

/* Two items of one class may wait for each other: who could tell which of them? */
void shim_wait_begin(const struct lockdep_map *map)
{
	unsigned int class = class_of(map);

	if (class != NO_CLASS)
		check_order(current, class, true);
}

void shim_run_begin(const struct lockdep_map *map)
{
	shim_wait_begin(map);
	current->inside |= (1ULL << class_of(map)) & ~(1ULL << NO_CLASS);
}

void shim_run_end(void)
{
	current->inside = 0;
}

void shim_serve_io_begin(void)
{
	current->serves_io++;
}

void shim_serve_io_end(void)
{
	current->serves_io--;
}

/* Contexts */

unsigned long shim_irq_save(void)
{
	struct task_struct *task = current;
	unsigned long flags = task->irq_disabled;

	task->irq_disabled = 1;
	return flags;
}

void shim_irq_restore(unsigned long flags)
{
	if (!current->irq_disabled)
		shim_bug("irqs restored that were not disabled");
	current->irq_disabled = flags;
}

void local_irq_disable(void)
{
	current->irq_disabled = 1;
}

void local_irq_enable(void)
{
	if (current->hardirq)
		shim_bug("irqs enabled in an interrupt");
	current->irq_disabled = 0;
}

bool irqs_disabled(void)
{
	return current->irq_disabled || current->hardirq;
}

void local_bh_disable(void)
{
	current->bh_disabled++;
}

void local_bh_enable(void)
{
	if (irqs_disabled())
		shim_bug("softirqs enabled with irqs disabled");
	if (current->bh_disabled-- == 0)
		shim_bug("softirqs enabled that were not disabled");
}

void shim_irq_enter(void)
{
	current->hardirq++;
}

void shim_irq_exit(void)
{
	current->hardirq--;
	if (current->preempt)
		shim_bug("an interrupt ends with preemption disabled");
}

void preempt_disable(void)
{
	current->preempt++;
}

void preempt_enable(void)
{
	if (current->preempt-- == 0)
		shim_bug("preemption enabled that was not disabled");
}

void migrate_disable(void)
{
	current->no_migrate++;
}

void migrate_enable(void)
{
	if (current->no_migrate-- == 0)
		shim_bug("migration enabled that was not disabled");
	if (!current->no_migrate)
		port_unpinned();
}

int preempt_count(void)
{
	struct task_struct *task = current;

	return task->preempt + task->hardirq + task->softirq +
	       task->bh_disabled;
}

bool in_hardirq(void)
{
	return current->hardirq;
}

bool in_serving_softirq(void)
{
	return current->softirq;
}

bool in_interrupt(void)
{
	return current->hardirq || current->softirq || current->bh_disabled;
}

bool in_task(void)
{
	return !current->hardirq && !current->softirq;
}

bool in_atomic(void)
{
	return preempt_count() != 0;
}

int raw_smp_processor_id(void)
{
	return current->cpu;
}

int smp_processor_id(void)
{
	if (!in_atomic() && !irqs_disabled() && !current->no_migrate)
		shim_bug("smp_processor_id() where the CPU can change");
	return current->cpu;
}

/* Spinlocks */

void shim_spin_init(spinlock_t *lock, const char *name,
		    struct lock_class_key *key)
{
	shim_dep_init(&lock->dep_map, key, name);
	__atomic_store_n(&lock->lock.word, 0, __ATOMIC_RELAXED);
}

void shim_spin_lock(spinlock_t *lock, int nested)
{
	acquire(&lock->dep_map, SHIM_LOCK_SPIN, false, nested);
	port_lock(&lock->lock, true);
}

bool shim_spin_trylock(spinlock_t *lock)
{
	if (!port_trylock(&lock->lock))
		return false;
	acquire(&lock->dep_map, SHIM_LOCK_SPIN, true, false);
	return true;
}

void shim_spin_unlock(spinlock_t *lock)
{
	release(&lock->dep_map, SHIM_LOCK_SPIN);
	port_unlock(&lock->lock);
}

/* Mutexes */

void shim_mutex_init(struct mutex *m, const char *name,
		     struct lock_class_key *key)
{
	shim_dep_init(&m->dep_map, key, name);
	__atomic_store_n(&m->lock.word, 0, __ATOMIC_RELAXED);
}

void shim_mutex_lock(struct mutex *m, int nested)
{
	might_sleep();
	acquire(&m->dep_map, SHIM_LOCK_MUTEX, false, nested);
	if (port_trylock(&m->lock))
		return;
	shim_worker_sleeps();
	port_lock(&m->lock, false);
	shim_worker_wakes();
}

int mutex_trylock(struct mutex *m)
{
	if (!in_task())
		shim_bug("mutex_trylock() in an interrupt");
	if (!port_trylock(&m->lock))
		return 0;
	acquire(&m->dep_map, SHIM_LOCK_MUTEX, true, false);
	return 1;
}

void mutex_unlock(struct mutex *m)
{
	release(&m->dep_map, SHIM_LOCK_MUTEX);
	port_unlock(&m->lock);
}

void mutex_destroy(struct mutex *m)
{
	if (mutex_is_locked(m))
		shim_bug("%s destroyed while it is locked", m->dep_map.name);
	m->dep_map.name = NULL;
}

/* Read-write semaphores */

void shim_rwsem_init(struct rw_semaphore *s, const char *name,
		     struct lock_class_key *key)
{
	shim_dep_init(&s->dep_map, key, name);
	spin_lock_init(&s->lock);
	init_waitqueue_head(&s->wait);
	s->count = 0;
	s->writers_waiting = 0;
}

static bool try_read(struct rw_semaphore *s)
{
	bool ok;

	port_lock(&s->lock.lock, true);
	ok = s->count >= 0 && !s->writers_waiting;
	if (ok)
		WRITE_ONCE(s->count, s->count + 1);
	port_unlock(&s->lock.lock);
	return ok;
}

static bool try_write(struct rw_semaphore *s, bool waited)
{
	bool ok;

	port_lock(&s->lock.lock, true);
	ok = s->count == 0;
	if (ok) {
		WRITE_ONCE(s->count, -1);
		s->writers_waiting -= waited;
	}
	port_unlock(&s->lock.lock);
	return ok;
}

void down_read(struct rw_semaphore *s)
{
	might_sleep();
	acquire(&s->dep_map, SHIM_LOCK_READ, false, false);
	wait_event(s->wait, try_read(s));
}

int down_read_trylock(struct rw_semaphore *s)
{
	if (!try_read(s))
		return 0;
	acquire(&s->dep_map, SHIM_LOCK_READ, true, false);
	return 1;
}

void down_write(struct rw_semaphore *s)
{
	might_sleep();
	acquire(&s->dep_map, SHIM_LOCK_WRITE, false, false);
	if (try_write(s, false))
		return;
	port_lock(&s->lock.lock, true);
	s->writers_waiting++;
	port_unlock(&s->lock.lock);
	wait_event(s->wait, try_write(s, true));
}

int down_write_trylock(struct rw_semaphore *s)
{
	if (!try_write(s, false))
		return 0;
	acquire(&s->dep_map, SHIM_LOCK_WRITE, true, false);
	return 1;
}

/* Wakes before it unlocks: after that a waiter may free the semaphore. */
static void change_count(struct rw_semaphore *s, int count)
{
	port_lock(&s->lock.lock, true);
	WRITE_ONCE(s->count, count);
	wake_up_all(&s->wait);
	port_unlock(&s->lock.lock);
}

void up_read(struct rw_semaphore *s)
{
	release(&s->dep_map, SHIM_LOCK_READ);
	port_lock(&s->lock.lock, true);
	WRITE_ONCE(s->count, s->count - 1);
	if (s->count == 0)
		wake_up_all(&s->wait);
	port_unlock(&s->lock.lock);
}

void up_write(struct rw_semaphore *s)
{
	release(&s->dep_map, SHIM_LOCK_WRITE);
	change_count(s, 0);
}

void downgrade_write(struct rw_semaphore *s)
{
	release(&s->dep_map, SHIM_LOCK_WRITE);
	change_count(s, 1);
	acquire(&s->dep_map, SHIM_LOCK_READ, true, false);
}
