// SPDX-License-Identifier: GPL-2.0-or-later
/* The shim itself: does it behave as the kernel does, and abort when it must? */
#define DM_MSG_PREFIX "test"
#include <fcntl.h>
#include <signal.h>

#include "test.h"

#include <linux/bio.h>
#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/crc32c.h>
#include <linux/dax.h>
#include <linux/delay.h>
#include <linux/device-mapper.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/list_sort.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/uuid.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <shim/dm-host.h>
#include <shim/host.h>
#include <shim/threads.h>

static u32 random_below(u32 *state, u32 n)
{
	*state = *state * 1664525 + 1013904223;
	return ((u64)(*state >> 8) * n) >> 24;
}

/* What was logged, when a test asks for it. */
static char log_text[4096];

static void keep_log(void *data, int level, const char *text)
{
	strncat(log_text, text, sizeof(log_text) - strlen(log_text) - 1);
}

static void capture_log(void)
{
	log_text[0] = '\0';
	shim_set_log(keep_log, NULL);
}

static bool logged(const char *text)
{
	shim_set_log(NULL, NULL);
	return strstr(log_text, text) != NULL;
}

/* Numbers and strings */

TEST(macros)
{
	u8 small = 200;

	CHECK_EQ(min(3U, small), 3);
	CHECK_EQ(max(small, 0), 200);
	CHECK_EQ(clamp(7, 1, 5), 5);
	CHECK_EQ(min_not_zero(0U, 4U), 4);
	CHECK_EQ(roundup(10, 4), 12);
	CHECK_EQ(round_down(13, 4), 12);
	CHECK_EQ(DIV_ROUND_UP(9, 4), 3);
	CHECK_EQ(ilog2(4097), 12);
	CHECK_EQ(roundup_pow_of_two(33), 64);
	CHECK_EQ(rounddown_pow_of_two(33), 32);
	CHECK_EQ(GENMASK_ULL(11, 4), 0xff0);
	CHECK_EQ(FIELD_GET(0xff0, 0x1234), 0x23);
	CHECK_EQ(FIELD_PREP(0xff0, 0x23), 0x230);
	CHECK_EQ(int_sqrt(99), 9);
	CHECK(IS_ERR(ERR_PTR(-EIO)) && PTR_ERR(ERR_PTR(-EIO)) == -EIO);
	CHECK_EQ(array_size(SIZE_MAX / 2, 3), SIZE_MAX);
	CHECK(time_after(5UL, -5UL) && time_before(-5UL, 5UL));
	CHECK_EQ(get_unaligned_le32("\x01\x02\x03\x04"), 0x04030201);
	CHECK_EQ(cpu_to_be32(1), 0x01000000);
}

TEST(kstrto)
{
	unsigned int u = 77;
	unsigned long long ull;
	int i;
	bool b;

	CHECK_EQ(kstrtouint("12", 10, &u), 0);
	CHECK_EQ(u, 12);
	CHECK_EQ(kstrtouint("+0x1f\n", 0, &u), 0);
	CHECK_EQ(u, 31);
	CHECK_EQ(kstrtouint("017", 0, &u), 0);
	CHECK_EQ(u, 15);
	CHECK_EQ(kstrtouint("", 10, &u), -EINVAL);
	CHECK_EQ(kstrtouint("-1", 10, &u), -EINVAL);
	CHECK_EQ(kstrtouint("1 ", 10, &u), -EINVAL);
	CHECK_EQ(kstrtouint(" 1", 10, &u), -EINVAL);
	CHECK_EQ(kstrtouint("1\n\n", 10, &u), -EINVAL);
	CHECK_EQ(kstrtouint("12x", 10, &u), -EINVAL);
	CHECK_EQ(kstrtouint("4294967296", 10, &u), -ERANGE);
	CHECK_EQ(kstrtoull("18446744073709551615", 10, &ull), 0);
	CHECK_EQ(ull, U64_MAX);
	CHECK_EQ(kstrtoull("18446744073709551616", 10, &ull), -ERANGE);
	CHECK_EQ(kstrtoint("-2147483648", 10, &i), 0);
	CHECK_EQ(i, INT_MIN);
	CHECK_EQ(kstrtoint("2147483648", 10, &i), -ERANGE);
	CHECK_EQ(kstrtobool("on", &b), 0);
	CHECK(b);
	CHECK_EQ(kstrtobool("Off", &b), 0);
	CHECK(!b);
	CHECK_EQ(kstrtobool("maybe", &b), -EINVAL);
}

TEST(strings)
{
	char buf[8];
	char padded[] = "  a b \n";

	CHECK_EQ(strscpy(buf, "1234567", sizeof(buf)), 7);
	CHECK_EQ(strscpy(buf, "12345678", sizeof(buf)), -E2BIG);
	CHECK_STR(buf, "1234567");
	CHECK_EQ(scnprintf(buf, sizeof(buf), "%s", "too long for it"), 7);
	CHECK_STR(strim(padded), "a b");
	CHECK_EQ(str_has_prefix("gc_percent", "gc_"), 3);
	CHECK_EQ(str_has_prefix("gc", "gc_"), 0);
	CHECK(!memchr_inv("\0\0\0", 0, 3));
	CHECK_STR(kbasename("/dev/pmem0"), "pmem0");
	CHECK(sysfs_streq("on\n", "on"));
}

TEST(crc32c_vectors)
{
	static u8 buf[5000];
	u32 crc = 0x1234, state = 1;

	CHECK_EQ(~crc32c(~0U, "123456789", 9), 0xE3069283U);
	CHECK_EQ(crc32c(0x3B15A, buf, 16), 0x3AA04A5BU);
	CHECK_EQ(crc32c(0, buf, 32), 0);
	CHECK_EQ(~crc32c(~0U, buf, 32), 0x8A9136AAU);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = random_below(&state, 256);
	for (size_t i = 0; i < sizeof(buf); ) {
		size_t n = min(random_below(&state, 40), sizeof(buf) - i);

		crc = crc32c(crc, buf + i, n);
		i += n;
	}
	CHECK_EQ(crc, crc32c(0x1234, buf, sizeof(buf)));
}

TEST(bitmaps)
{
	unsigned long *map = bitmap_zalloc(200, GFP_KERNEL);

	CHECK_EQ(find_first_bit(map, 200), 200);
	__set_bit(3, map);
	set_bit(64, map);
	set_bit(199, map);
	CHECK_EQ(find_next_bit(map, 200, 4), 64);
	CHECK_EQ(find_next_bit(map, 200, 65), 199);
	CHECK_EQ(find_next_bit(map, 199, 65), 199);
	CHECK_EQ(find_next_zero_bit(map, 200, 3), 4);
	CHECK_EQ(bitmap_weight(map, 200), 3);
	CHECK_EQ(bitmap_weight(map, 199), 2);
	CHECK(test_and_clear_bit(64, map) && !test_and_set_bit(64, map));
	bitmap_fill(map, 200);
	CHECK_EQ(find_first_zero_bit(map, 200), 200);
	bitmap_free(map);
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

struct item {
	struct list_head link;
	int key, nr;
};

static int compare_items(void *priv, const struct list_head *a,
			 const struct list_head *b)
{
	return list_entry(a, struct item, link)->key -
	       list_entry(b, struct item, link)->key;
}

TEST(sorting)
{
	static struct item items[1000];
	int numbers[1000], last = -1, last_nr = -1;
	struct item *item;
	u32 state = 7;
	LIST_HEAD(list);

	for (int i = 0; i < 1000; i++) {
		numbers[i] = random_below(&state, 300);
		items[i].key = numbers[i];
		items[i].nr = i;
		list_add_tail(&items[i].link, &list);
	}
	sort(numbers, 1000, sizeof(int), compare_ints, NULL);
	list_sort(NULL, &list, compare_items);
	for (int i = 1; i < 1000; i++)
		CHECK(numbers[i - 1] <= numbers[i]);
	list_for_each_entry(item, &list, link) {
		CHECK(item->key > last ||
		      (item->key == last && item->nr > last_nr));
		last = item->key;
		last_nr = item->nr;
	}
	CHECK_EQ(list_count_nodes(&list), 1000);
}

TEST(lists)
{
	struct item a[6];
	struct item *pos, *next;
	int sum = 0;
	LIST_HEAD(list);
	LIST_HEAD(other);

	for (int i = 0; i < 6; i++) {
		a[i].nr = i;
		list_add_tail(&a[i].link, &list);
	}
	list_cut_position(&other, &list, &a[2].link);
	CHECK_EQ(list_count_nodes(&other), 3);
	CHECK(list_first_entry(&list, struct item, link) == &a[3]);
	list_move_tail(&a[0].link, &list);
	CHECK(list_last_entry(&list, struct item, link) == &a[0]);
	list_splice_tail_init(&other, &list);
	CHECK(list_empty(&other));
	list_for_each_entry_safe(pos, next, &list, link) {
		sum = sum * 10 + pos->nr;
		list_del_init(&pos->link);
	}
	CHECK_EQ(sum, 345012);
	CHECK(!list_first_entry_or_null(&list, struct item, link));
}

DEATH_TEST(list_add_twice, "on it already")
{
	struct item a;
	LIST_HEAD(list);

	list_add(&a.link, &list);
	list_add(&a.link, &list);
}

DEATH_TEST(list_del_twice, "not on a list")
{
	struct item *a = kmalloc(sizeof(*a), GFP_KERNEL);
	LIST_HEAD(list);

	list_add(&a->link, &list);
	list_del(&a->link);
	schedule();	/* the compiler must not see through it */
	list_del(&a->link);
}

/* The tree against a sorted array, over 10^5 random operations */

#define TREE_KEYS 3000

struct tree_node {
	struct rb_node node;
	int key;
	bool in;
};

static struct tree_node tree_nodes[TREE_KEYS];
static int sorted[TREE_KEYS], nr_sorted;

static int lower_bound(int key)
{
	int lo = 0, hi = nr_sorted;

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (sorted[mid] < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool node_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct tree_node, node)->key <
	       rb_entry(b, struct tree_node, node)->key;
}

static void check_neighbours(struct rb_root *root, struct tree_node *n)
{
	struct rb_node *prev = rb_prev(&n->node), *next = rb_next(&n->node);
	int i = lower_bound(n->key);

	CHECK_EQ(prev ? rb_entry(prev, struct tree_node, node)->key : -1,
		 i > 0 ? sorted[i - 1] : -1);
	CHECK_EQ(next ? rb_entry(next, struct tree_node, node)->key : -1,
		 i + 1 < nr_sorted ? sorted[i + 1] : -1);
}

static int depth_of(struct rb_node *node)
{
	return node ? 1 + max(depth_of(node->rb_left),
			      depth_of(node->rb_right)) : 0;
}

static void check_tree(struct rb_root *root)
{
	struct tree_node *pos, *next;
	struct rb_node *node;
	int i = 0;

	for (node = rb_first(root); node; node = rb_next(node), i++)
		CHECK_EQ(rb_entry(node, struct tree_node, node)->key,
			 sorted[i]);
	CHECK_EQ(i, nr_sorted);
	rbtree_postorder_for_each_entry_safe(pos, next, root, node)
		i--;
	CHECK_EQ(i, 0);
	CHECK(depth_of(root->rb_node) < 60);
}

TEST(rbtree)
{
	struct rb_root root = RB_ROOT;
	u32 state = 3;

	for (int op = 0; op < 100000; op++) {
		/* In runs of rising keys, too, which must not make a list. */
		int key = op % 4000 < TREE_KEYS && op % 12000 < 4000 ?
			  op % 4000 : (int)random_below(&state, TREE_KEYS);
		struct tree_node *n = &tree_nodes[key];
		int i = lower_bound(key);

		if (!n->in) {
			n->key = key;
			rb_add(&n->node, &root, node_less);
			memmove(sorted + i + 1, sorted + i,
				(nr_sorted++ - i) * sizeof(int));
			sorted[i] = key;
			check_neighbours(&root, n);
		} else {
			check_neighbours(&root, n);
			rb_erase(&n->node, &root);
			RB_CLEAR_NODE(&n->node);
			memmove(sorted + i, sorted + i + 1,
				(--nr_sorted - i) * sizeof(int));
		}
		n->in = !n->in;
		if (op % 5000 == 0)
			check_tree(&root);
	}
	check_tree(&root);
}

/* Locks and contexts */

static int shared_count;
static DEFINE_SPINLOCK(shared_spin);
static DEFINE_MUTEX(shared_mutex);
static DECLARE_RWSEM(shared_rwsem);

static void count_under_locks(void *arg)
{
	for (int i = 0; i < 3000; i++) {
		unsigned long flags;

		spin_lock_irqsave(&shared_spin, flags);
		shared_count++;
		spin_unlock_irqrestore(&shared_spin, flags);
		mutex_lock(&shared_mutex);
		*(int *)arg += 1;
		mutex_unlock(&shared_mutex);
	}
}

TEST(mutual_exclusion)
{
	struct task_struct *tasks[4];
	int count = 0;

	shared_count = 0;
	for (int i = 0; i < 4; i++)
		tasks[i] = shim_spawn("count", count_under_locks, &count);
	for (int i = 0; i < 4; i++)
		shim_join(tasks[i]);
	CHECK_EQ(shared_count, 12000);
	CHECK_EQ(count, 12000);
}

static void read_and_write(void *arg)
{
	static int a, b;

	for (int i = 0; i < 2000; i++) {
		if (i % 4 == 0) {
			down_write(&shared_rwsem);
			a++;
			b++;
			if (i % 8) {
				up_write(&shared_rwsem);
				continue;
			}
			downgrade_write(&shared_rwsem);
		} else {
			down_read(&shared_rwsem);
		}
		lockdep_assert_held(&shared_rwsem);
		CHECK_EQ(a, b);
		up_read(&shared_rwsem);
	}
}

TEST(rwsem)
{
	struct task_struct *tasks[4];

	for (int i = 0; i < 4; i++)
		tasks[i] = shim_spawn("rw", read_and_write, NULL);
	for (int i = 0; i < 4; i++)
		shim_join(tasks[i]);
	CHECK(!rwsem_is_locked(&shared_rwsem));
}

static DEFINE_SPINLOCK(lock_a);
static DEFINE_SPINLOCK(lock_b);
static DEFINE_SPINLOCK(lock_c);

static void lock_both(spinlock_t *first, spinlock_t *second)
{
	spin_lock(first);
	spin_lock(second);
	spin_unlock(second);
	spin_unlock(first);
}

DEATH_TEST(lock_order, "lock order")
{
	lock_both(&lock_a, &lock_b);
	lock_both(&lock_b, &lock_c);
	lock_both(&lock_c, &lock_a);
}

DEATH_TEST(lock_same_class, "of one class")
{
	spinlock_t locks[2];

	for (int i = 0; i < 2; i++)
		spin_lock_init(&locks[i]);
	lock_both(&locks[0], &locks[1]);
}

DEATH_TEST(lock_twice, "by the task that holds it")
{
	spin_lock(&lock_a);
	spin_lock(&lock_a);
}

DEATH_TEST(unlock_not_held, "does not hold it")
{
	mutex_unlock(&shared_mutex);
}

DEATH_TEST(lock_uninitialised, "never initialised")
{
	spinlock_t lock;

	memset(&lock, 0, sizeof(lock));
	spin_lock(&lock);
}

DEATH_TEST(lock_irq_unsafe, "also with them enabled")
{
	spin_lock(&lock_a);
	spin_unlock(&lock_a);
	shim_irq_enter();
	spin_lock(&lock_a);
}

DEATH_TEST(lock_irq_inversion, "under a lock that interrupts take")
{
	shim_irq_enter();
	spin_lock(&lock_a);
	spin_unlock(&lock_a);
	shim_irq_exit();
	spin_lock(&lock_b);
	spin_unlock(&lock_b);
	spin_lock_irq(&lock_a);
	spin_lock(&lock_b);
}

DEATH_TEST(assert_held, "lock_a is not held")
{
	lockdep_assert_held(&lock_a);
}

DEATH_TEST(sleep_under_spinlock, "sleeping in atomic context")
{
	spin_lock(&lock_a);
	kfree(kmalloc(8, GFP_KERNEL));
}

DEATH_TEST(mutex_in_interrupt, "sleeping in atomic context")
{
	shim_irq_enter();
	mutex_lock(&shared_mutex);
}

static void leave_locked(void *arg)
{
	mutex_lock(&shared_mutex);
}

DEATH_TEST(exit_with_lock, "ends with a lock held")
{
	shim_join(shim_spawn("leaver", leave_locked, NULL));
}

DEATH_TEST(processor_id_preemptible, "where the CPU can change")
{
	smp_processor_id();
}

DEATH_TEST(refcount_underflow, "underflow")
{
	refcount_t r = REFCOUNT_INIT(1);

	CHECK(refcount_dec_and_test(&r));
	refcount_dec_and_test(&r);
}

TEST(contexts)
{
	unsigned long flags, inner;

	CHECK(!in_atomic() && !irqs_disabled() && in_task());
	local_irq_save(flags);
	local_irq_save(inner);
	local_irq_restore(inner);
	CHECK(irqs_disabled());
	local_irq_restore(flags);
	CHECK(!irqs_disabled());
	spin_lock_bh(&lock_c);
	CHECK(in_atomic() && in_interrupt());
	spin_unlock_bh(&lock_c);
	migrate_disable();
	CHECK(smp_processor_id() < (int)nr_cpu_ids);
	migrate_enable();
	flags = memalloc_noio_save();
	CHECK_EQ(current_gfp_context(GFP_KERNEL), GFP_NOIO);
	memalloc_noio_restore(flags);
	CHECK_EQ(current_gfp_context(GFP_KERNEL), GFP_KERNEL);
}

TEST(warnings)
{
	capture_log();
	CHECK(WARN_ON(1));
	CHECK(!WARN_ON(0));
	for (int i = 0; i < 3; i++)
		WARN_ONCE(1, "once\n");
	CHECK(logged("WARN_ON(1)"));
	CHECK_EQ(shim_warnings(), 2);
	shim_clear_warnings();
}

TEST(ratelimited_log)
{
	const char *p = log_text;
	int lines = 0;

	capture_log();
	for (int i = 0; i < 30; i++)
		pr_err_ratelimited("line %d\n", i);
	CHECK(logged("line 9\n"));
	while ((p = strstr(p, "line"))) {
		lines++;
		p++;
	}
	CHECK_EQ(lines, 10);
}

/* Waiting */

static DECLARE_WAIT_QUEUE_HEAD(test_wait);
static int test_condition;
static atomic_t test_counter;

static void wait_for_condition(void *arg)
{
	int want = (int)(long)arg;

	wait_event(test_wait, READ_ONCE(test_condition) >= want);
	atomic_inc(&test_counter);
}

TEST(wait_event)
{
	struct task_struct *tasks[8];

	WRITE_ONCE(test_condition, 0);
	atomic_set(&test_counter, 0);
	for (long i = 0; i < 8; i++)
		tasks[i] = shim_spawn("wait", wait_for_condition,
				      (void *)(i + 1));
	for (int i = 1; i <= 8; i++) {
		WRITE_ONCE(test_condition, i);
		wake_up(&test_wait);
	}
	for (int i = 0; i < 8; i++)
		shim_join(tasks[i]);
	CHECK_EQ(atomic_read(&test_counter), 8);
	CHECK(!waitqueue_active(&test_wait));
}

static int interrupted_result[2];

static void wait_interruptibly(void *arg)
{
	interrupted_result[0] = wait_event_interruptible(test_wait, false);
	interrupted_result[1] = wait_event_killable(test_wait, true);
}

TEST(wait_interrupted)
{
	struct task_struct *task = shim_spawn("intr", wait_interruptibly, NULL);

	msleep(5);
	shim_signal(task, true);
	shim_join(task);
	CHECK_EQ(interrupted_result[0], -ERESTARTSYS);
	CHECK_EQ(interrupted_result[1], 0);
}

TEST(wait_timeout)
{
	u64 start = ktime_get_ns();

	CHECK_EQ(wait_event_timeout(test_wait, false, msecs_to_jiffies(20)), 0);
	CHECK(ktime_get_ns() - start >= 20 * NSEC_PER_MSEC);
	CHECK(wait_event_timeout(test_wait, true, 5) > 0);
}

static void wait_locked(void *arg)
{
	spin_lock_irq(&shared_spin);
	wait_event_lock_irq(test_wait, test_condition == 100, shared_spin);
	lockdep_assert_held(&shared_spin);
	spin_unlock_irq(&shared_spin);
}

TEST(wait_lock_irq)
{
	struct task_struct *task = shim_spawn("lockirq", wait_locked, NULL);

	msleep(2);
	spin_lock_irq(&shared_spin);
	WRITE_ONCE(test_condition, 100);
	wake_up(&test_wait);
	spin_unlock_irq(&shared_spin);
	shim_join(task);
}

static char wake_order[9];

struct exclusive {
	char name;
	struct completion queued;
};

static void wait_exclusively(void *arg)
{
	struct exclusive *e = arg;
	DEFINE_WAIT(entry);

	prepare_to_wait_exclusive(&test_wait, &entry, TASK_UNINTERRUPTIBLE);
	complete(&e->queued);
	schedule();
	finish_wait(&test_wait, &entry);
	spin_lock(&lock_a);
	wake_order[strlen(wake_order)] = e->name;
	spin_unlock(&lock_a);
}

TEST(wait_exclusive_order)
{
	struct task_struct *tasks[4];
	struct exclusive e[4];

	for (int i = 0; i < 4; i++) {
		e[i].name = 'a' + i;
		init_completion(&e[i].queued);
		tasks[i] = shim_spawn("excl", wait_exclusively, &e[i]);
		wait_for_completion(&e[i].queued);
	}
	for (int i = 0; i < 4; i++) {
		wake_up(&test_wait);
		shim_join(tasks[i]);
	}
	CHECK_STR(wake_order, "abcd");
}

static void complete_it(void *arg)
{
	complete(arg);
}

TEST(completions)
{
	DECLARE_COMPLETION_ONSTACK(done);

	for (int i = 0; i < 200; i++) {
		struct completion c;
		struct task_struct *task;

		init_completion(&c);
		task = shim_spawn("complete", complete_it, &c);
		wait_for_completion(&c);
		shim_join(task);
	}
	CHECK_EQ(wait_for_completion_timeout(&done, 5), 0);
	complete(&done);
	CHECK(completion_done(&done) && try_wait_for_completion(&done));
	CHECK(!completion_done(&done));
	complete_all(&done);
	wait_for_completion(&done);
	wait_for_completion(&done);
}

/* Timers */

struct timed {
	struct timer_list timer;
	struct completion fired;
	unsigned long at;
};

static void timer_fired(struct timer_list *timer)
{
	struct timed *t = from_timer(t, timer, timer);

	CHECK(in_serving_softirq() && !in_task());
	t->at = jiffies;
	complete(&t->fired);
}

TEST(timers)
{
	struct timed t[3];
	unsigned long start = jiffies;

	for (int i = 0; i < 3; i++) {
		init_completion(&t[i].fired);
		timer_setup(&t[i].timer, timer_fired, 0);
		mod_timer(&t[i].timer, start + 1000);
	}
	CHECK(timer_pending(&t[0].timer));
	CHECK_EQ(mod_timer(&t[0].timer, start + 5), 1);
	CHECK_EQ(timer_reduce(&t[1].timer, start + 10), 1);
	CHECK_EQ(timer_reduce(&t[1].timer, start + 500), 1);
	wait_for_completion(&t[0].fired);
	wait_for_completion(&t[1].fired);
	CHECK(time_after_eq(t[0].at, start + 5));
	CHECK(time_after_eq(t[1].at, start + 10));
	CHECK_EQ(timer_delete_sync(&t[2].timer), 1);
	CHECK_EQ(timer_delete_sync(&t[0].timer), 0);
	CHECK(!completion_done(&t[2].fired));
	CHECK_EQ(timer_shutdown_sync(&t[1].timer), 0);
	mod_timer(&t[1].timer, jiffies);
	CHECK(!timer_pending(&t[1].timer));
}

/* Work queues */

struct work {
	struct work_struct work;
	struct delayed_work dwork;
	struct workqueue_struct *wq;
	struct completion begun, go;
	atomic_t runs, inside;
	int again;
	struct work *other;
};

static void init_test_work(struct work *w, work_func_t fn,
			   struct workqueue_struct *wq)
{
	memset(w, 0, sizeof(*w));
	INIT_WORK(&w->work, fn);
	INIT_DELAYED_WORK(&w->dwork, fn);
	init_completion(&w->begun);
	init_completion(&w->go);
	w->wq = wq;
}

static void held_work(struct work_struct *work)
{
	struct work *w = container_of(work, struct work, work);

	CHECK_EQ(atomic_inc_return(&w->inside), 1);
	atomic_inc(&w->runs);
	complete(&w->begun);
	wait_for_completion(&w->go);
	atomic_dec(&w->inside);
}

TEST(work_requeue_while_running)
{
	struct workqueue_struct *wq = alloc_workqueue("t%d", 0, 0, 1);
	struct work w;

	init_test_work(&w, held_work, wq);
	CHECK(queue_work(wq, &w.work));
	wait_for_completion(&w.begun);
	CHECK(queue_work(wq, &w.work));
	CHECK(!queue_work(wq, &w.work));
	CHECK(work_pending(&w.work));
	CHECK_EQ(work_busy(&w.work), WORK_BUSY_PENDING | WORK_BUSY_RUNNING);
	msleep(5);
	CHECK_EQ(atomic_read(&w.runs), 1);
	complete_all(&w.go);
	flush_work(&w.work);
	CHECK_EQ(atomic_read(&w.runs), 2);
	CHECK(!flush_work(&w.work));
	destroy_workqueue(wq);
}

TEST(work_concurrency)
{
	struct workqueue_struct *wq = alloc_workqueue("t", WQ_UNBOUND, 3);
	struct work w[5];

	for (int i = 0; i < 5; i++) {
		init_test_work(&w[i], held_work, wq);
		queue_work(wq, &w[i].work);
	}
	for (int i = 0; i < 3; i++)
		wait_for_completion(&w[i].begun);
	msleep(5);
	CHECK(!completion_done(&w[3].begun));
	complete(&w[1].go);
	wait_for_completion(&w[3].begun);
	CHECK(!completion_done(&w[4].begun));
	CHECK(cancel_work_sync(&w[4].work));
	for (int i = 0; i < 5; i++)
		complete(&w[i].go);
	flush_workqueue(wq);
	CHECK_EQ(atomic_read(&w[4].runs), 0);
	destroy_workqueue(wq);
}

/* More blocked items than workers may run: none may starve another. */
TEST(work_many_blocked)
{
	struct workqueue_struct *wq = alloc_workqueue("t", 0, 0);
	static struct work w[40];

	for (int i = 0; i < 40; i++) {
		init_test_work(&w[i], held_work, wq);
		queue_work(wq, &w[i].work);
	}
	for (int i = 0; i < 40; i++)
		wait_for_completion(&w[i].begun);
	for (int i = 0; i < 40; i++)
		complete(&w[i].go);
	destroy_workqueue(wq);
}

static int ordered_seen[100], nr_ordered_seen;

struct ordered {
	struct work_struct work;
	int nr;
};

static void ordered_work(struct work_struct *work)
{
	ordered_seen[nr_ordered_seen++] =
		container_of(work, struct ordered, work)->nr;
}

TEST(work_ordered)
{
	struct workqueue_struct *wq = alloc_ordered_workqueue("o", 0);
	struct ordered items[100];

	for (int i = 0; i < 100; i++) {
		items[i].nr = i;
		INIT_WORK(&items[i].work, ordered_work);
		queue_work(wq, &items[i].work);
	}
	flush_workqueue(wq);
	CHECK_EQ(nr_ordered_seen, 100);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(ordered_seen[i], i);
	destroy_workqueue(wq);
}

static void requeueing_work(struct work_struct *work)
{
	struct work *w = container_of(work, struct work, work);

	atomic_inc(&w->runs);
	complete(&w->begun);
	queue_work(w->wq, work);
}

TEST(work_cancel_requeueing)
{
	struct workqueue_struct *wq = alloc_workqueue("t", 0, 0);
	struct work w;
	int runs;

	init_test_work(&w, requeueing_work, wq);
	queue_work(wq, &w.work);
	for (int i = 0; i < 10; i++)
		wait_for_completion(&w.begun);
	cancel_work_sync(&w.work);
	runs = atomic_read(&w.runs);
	msleep(3);
	CHECK_EQ(atomic_read(&w.runs), runs);
	CHECK(!work_pending(&w.work));
	destroy_workqueue(wq);
}

static void counting_work(struct work_struct *work)
{
	struct work *w = container_of(to_delayed_work(work), struct work,
				      dwork);

	atomic_inc(&w->runs);
	complete(&w->begun);
}

TEST(work_delayed)
{
	struct workqueue_struct *wq = alloc_workqueue("t", 0, 0);
	unsigned long start = jiffies;
	struct work w;

	init_test_work(&w, counting_work, wq);
	CHECK(queue_delayed_work(wq, &w.dwork, 1000));
	CHECK(!queue_delayed_work(wq, &w.dwork, 1));
	CHECK(delayed_work_pending(&w.dwork));
	CHECK(mod_delayed_work(wq, &w.dwork, 10));
	wait_for_completion(&w.begun);
	CHECK(time_after_eq(jiffies, start + 10));
	flush_work(&w.dwork.work);
	CHECK(!mod_delayed_work(wq, &w.dwork, 1000));
	flush_delayed_work(&w.dwork);
	CHECK_EQ(atomic_read(&w.runs), 2);
	queue_delayed_work(wq, &w.dwork, 1000);
	CHECK(cancel_delayed_work(&w.dwork));
	CHECK(!cancel_delayed_work_sync(&w.dwork));
	queue_delayed_work(wq, &w.dwork, 0);
	cancel_delayed_work_sync(&w.dwork);
	CHECK(!delayed_work_pending(&w.dwork));
	destroy_workqueue(wq);
}

/* Races of the timer against changes of mind. */
TEST(work_delayed_races)
{
	struct workqueue_struct *wq = alloc_workqueue("t", 0, 0);
	struct work w;
	u32 state = 5;

	init_test_work(&w, counting_work, wq);
	for (int i = 0; i < 2000; i++) {
		switch (random_below(&state, 5)) {
		case 0:
			cancel_delayed_work_sync(&w.dwork);
			break;
		case 1:
			flush_delayed_work(&w.dwork);
			break;
		case 2:
			if (i % 20 == 0)
				usleep_range(1100, 1100);
			break;
		default:
			mod_delayed_work(wq, &w.dwork, random_below(&state, 3));
		}
	}
	cancel_delayed_work_sync(&w.dwork);
	CHECK(!delayed_work_pending(&w.dwork));
	destroy_workqueue(wq);
}

static void chained_work(struct work_struct *work)
{
	struct work *w = container_of(work, struct work, work);

	atomic_inc(&w->runs);
	if (--w->again)
		queue_work(w->wq, work);
}

TEST(work_drain)
{
	struct workqueue_struct *wq = alloc_workqueue("t", 0, 0);
	struct work w;

	init_test_work(&w, chained_work, wq);
	w.again = 50;
	queue_work(wq, &w.work);
	drain_workqueue(wq);
	CHECK_EQ(atomic_read(&w.runs), 50);
	destroy_workqueue(wq);
}

static void freeing_work(struct work_struct *work)
{
	kfree(container_of(work, struct work, work));
	atomic_inc(&test_counter);
}

TEST(work_frees_itself)
{
	struct workqueue_struct *wq = alloc_workqueue("t", 0, 0);

	atomic_set(&test_counter, 0);
	for (int i = 0; i < 300; i++) {
		struct work *w = kmalloc(sizeof(*w), GFP_KERNEL);

		init_test_work(w, freeing_work, wq);
		queue_work(wq, &w->work);
	}
	flush_workqueue(wq);
	CHECK_EQ(atomic_read(&test_counter), 300);
	destroy_workqueue(wq);
}

DEATH_TEST(work_on_destroyed_queue, "")
{
	struct workqueue_struct *wq = alloc_workqueue("t", 0, 0);
	struct work w;

	init_test_work(&w, held_work, wq);
	destroy_workqueue(wq);
	queue_work(wq, &w.work);
	abort();
}

static void flushing_work(struct work_struct *work)
{
	flush_workqueue(container_of(work, struct work, work)->wq);
}

DEATH_TEST(work_flushes_own_queue, "flushes it")
{
	struct workqueue_struct *wq = alloc_workqueue("t", 0, 0);
	struct work w;

	init_test_work(&w, flushing_work, wq);
	queue_work(wq, &w.work);
	msleep(10000);
}

static void locking_work(struct work_struct *work)
{
	mutex_lock(&shared_mutex);
}

DEATH_TEST(work_leaks_lock, "leaks a lock")
{
	struct workqueue_struct *wq = alloc_workqueue("t", 0, 0);
	struct work w;

	init_test_work(&w, locking_work, wq);
	queue_work(wq, &w.work);
	msleep(10000);
}

/* What a wait for work is, for the order of locks */

static void locking_and_unlocking_work(struct work_struct *work)
{
	mutex_lock(&shared_mutex);
	mutex_unlock(&shared_mutex);
}

/* Has a work item of such a queue run. */
static void run_once(work_func_t fn, unsigned int flags)
{
	struct workqueue_struct *wq = alloc_workqueue("t", flags, 0);
	struct work w;

	init_test_work(&w, fn, wq);
	queue_work(wq, &w.work);
	flush_work(&w.work);
	destroy_workqueue(wq);
}

/* Has what the item's function takes been learnt, waits for it with that held. */
static void wait_with_mutex(void (*wait)(struct work *w), unsigned int flags)
{
	struct workqueue_struct *wq = alloc_workqueue("t", flags, 0);
	struct work w;

	init_test_work(&w, locking_and_unlocking_work, wq);
	queue_work(wq, &w.work);
	flush_work(&w.work);
	mutex_lock(&shared_mutex);
	wait(&w);
	mutex_unlock(&shared_mutex);
	destroy_workqueue(wq);
}

static void wait_by_flush(struct work *w)
{
	flush_work(&w->work);
}

static void wait_by_cancel(struct work *w)
{
	cancel_work_sync(&w->work);
}

static void wait_by_flush_of_queue(struct work *w)
{
	flush_workqueue(w->wq);
}

static void wait_by_drain(struct work *w)
{
	drain_workqueue(w->wq);
}

/* One of the queue that needs the mutex could stand before the one waited for. */
static void wait_for_another(struct work *w)
{
	static struct work other;

	init_test_work(&other, held_work, w->wq);
	INIT_WORK(&other.work, held_work);
	queue_work(w->wq, &other.work);
	wait_for_completion(&other.begun);
	flush_work(&other.work);
}

#define WAIT_DIES(name, wait, flags)					\
DEATH_TEST(name, "under shared_mutex, which was under it before")	\
{									\
	wait_with_mutex(wait, flags);					\
}

WAIT_DIES(flush_work_under_its_lock, wait_by_flush, 0)
WAIT_DIES(cancel_work_under_its_lock, wait_by_cancel, 0)
WAIT_DIES(flush_queue_under_its_lock, wait_by_flush_of_queue, 0)
WAIT_DIES(drain_queue_under_its_lock, wait_by_drain, 0)
WAIT_DIES(flush_behind_rescuer_under_lock, wait_for_another, WQ_MEM_RECLAIM)

/* The wait comes first, the work function takes the lock later. */
DEATH_TEST(work_takes_lock_of_flusher, "shared_mutex under")
{
	struct workqueue_struct *wq = alloc_workqueue("t", 0, 0);
	struct work w;

	init_test_work(&w, locking_and_unlocking_work, wq);
	mutex_lock(&shared_mutex);
	flush_work(&w.work);
	mutex_unlock(&shared_mutex);
	queue_work(wq, &w.work);
	msleep(10000);
}

static struct workqueue_struct *plain_queue;
static struct work plain_work;

static void queueing_work(struct work_struct *work)
{
	queue_work(plain_queue, &plain_work.work);
}

static void flushing_plain_work(struct work_struct *work)
{
	flush_work(&plain_work.work);
}

DEATH_TEST(reclaim_work_queues_on_plain, "plain has no WQ_MEM_RECLAIM")
{
	plain_queue = alloc_workqueue("plain", 0, 0);
	init_test_work(&plain_work, held_work, plain_queue);
	run_once(queueing_work, WQ_MEM_RECLAIM);
}

DEATH_TEST(reclaim_work_waits_for_plain, "plain has no WQ_MEM_RECLAIM")
{
	plain_queue = alloc_workqueue("plain", 0, 0);
	init_test_work(&plain_work, held_work, plain_queue);
	queue_work(plain_queue, &plain_work.work);
	wait_for_completion(&plain_work.begun);
	run_once(flushing_plain_work, WQ_MEM_RECLAIM);
}

DEATH_TEST(interrupt_queues_on_plain, "plain has no WQ_MEM_RECLAIM")
{
	plain_queue = alloc_workqueue("plain", 0, 0);
	init_test_work(&plain_work, held_work, plain_queue);
	shim_irq_enter();
	queue_work(plain_queue, &plain_work.work);
}

static void allocating_plain_work(struct work_struct *work)
{
	kfree(kmalloc(8, GFP_KERNEL));
}

/* What is waited for under a lock that I/O needs must not wait for I/O. */
DEATH_TEST(wait_for_allocating_work, "lock order")
{
	struct workqueue_struct *wq = alloc_workqueue("t", 0, 0);
	struct work w;

	run_once(locking_and_unlocking_work, WQ_MEM_RECLAIM);
	init_test_work(&w, allocating_plain_work, wq);
	INIT_WORK(&w.work, allocating_plain_work);
	mutex_lock(&shared_mutex);
	flush_work(&w.work);
	mutex_unlock(&shared_mutex);
	queue_work(wq, &w.work);
	msleep(10000);
}

/* Allocation flags against the context */

static gfp_t work_gfp;
static mempool_t *work_pool;

static void allocating_work(struct work_struct *work)
{
	if (work_pool)
		mempool_free(mempool_alloc(work_pool, work_gfp), work_pool);
	else
		kfree(kmalloc(8, work_gfp));
}

TEST(gfp_allowed)
{
	unsigned int old;

	work_gfp = GFP_NOIO;
	run_once(allocating_work, WQ_MEM_RECLAIM);
	shim_forget_lock_order();
	work_gfp = GFP_KERNEL;
	run_once(allocating_work, 0);
	shim_forget_lock_order();
	run_once(locking_and_unlocking_work, WQ_MEM_RECLAIM);
	mutex_lock(&shared_mutex);
	old = memalloc_noio_save();
	kfree(kmalloc(8, GFP_KERNEL));
	memalloc_noio_restore(old);
	kfree(kmalloc(8, GFP_NOIO));
	mutex_unlock(&shared_mutex);
	shim_forget_lock_order();
}

DEATH_TEST(gfp_io_in_reclaim_work, "wait for I/O, in a task that serves I/O")
{
	work_gfp = GFP_KERNEL;
	run_once(allocating_work, WQ_MEM_RECLAIM);
}

DEATH_TEST(gfp_fs_in_reclaim_work, "wait for I/O, in a task that serves I/O")
{
	work_gfp = GFP_NOIO | __GFP_FS;
	run_once(allocating_work, WQ_MEM_RECLAIM);
}

DEATH_TEST(gfp_io_of_pool_in_reclaim_work, "wait for I/O, in a task that serves I/O")
{
	work_pool = mempool_create_kmalloc_pool(2, 64);
	work_gfp = GFP_KERNEL;
	run_once(allocating_work, WQ_MEM_RECLAIM);
}

DEATH_TEST(gfp_noio_in_interrupt, "sleeping in atomic context")
{
	shim_irq_enter();
	kfree(kmalloc(8, GFP_NOIO));
}

DEATH_TEST(gfp_of_pool_under_spinlock, "sleeping in atomic context")
{
	mempool_t *pool = mempool_create_kmalloc_pool(2, 64);

	spin_lock(&lock_a);
	mempool_alloc(pool, GFP_NOIO);
}

DEATH_TEST(gfp_io_under_lock_of_reclaim_work, "an allocation that may wait for I/O under")
{
	run_once(locking_and_unlocking_work, WQ_MEM_RECLAIM);
	mutex_lock(&shared_mutex);
	kfree(kmalloc(8, GFP_KERNEL));
}

/* The other way round, and with a lock in between. */
DEATH_TEST(gfp_io_under_lock_before, "under an allocation that may wait for I/O")
{
	static DEFINE_MUTEX(outer);

	mutex_lock(&shared_mutex);
	mutex_lock(&outer);
	kfree(kmalloc(8, GFP_KERNEL));
	mutex_unlock(&outer);
	mutex_unlock(&shared_mutex);
	run_once(locking_and_unlocking_work, WQ_MEM_RECLAIM);
}

/* Memory */

static bool all_fail(gfp_t gfp, size_t size)
{
	return true;
}

TEST(allocation)
{
	char *p, *q;

	for (size_t n = 16; n <= 8192; n *= 2) {
		p = kmalloc(n, GFP_KERNEL);
		CHECK(IS_ALIGNED((unsigned long)p, min(n, PAGE_SIZE)));
		kfree(p);
	}
	p = kzalloc(100, GFP_KERNEL);
	CHECK(mem_is_zero(p, 100));
	p[99] = 7;
	p = krealloc(p, 5000, GFP_KERNEL | __GFP_ZERO);
	CHECK(p[99] == 7 && mem_is_zero(p + 100, 4900));
	kfree(p);
	p = kvmalloc(1 << 20, GFP_KERNEL);
	q = kvmalloc(100, GFP_KERNEL);
	CHECK(is_vmalloc_addr(p + 5000) && !is_vmalloc_addr(q));
	kvfree(p);
	kvfree(q);
	kfree(NULL);
	kfree(kmalloc(0, GFP_KERNEL));
	port_set_alloc_failure(all_fail);
	CHECK(!kmalloc(8, GFP_KERNEL));
	CHECK(!kcalloc(3, 8, GFP_NOIO));
	p = kmalloc(8, GFP_KERNEL | __GFP_NOFAIL);
	CHECK(p != NULL);
	port_set_alloc_failure(NULL);
	kfree(p);
	CHECK(!kcalloc(SIZE_MAX / 4, 8, GFP_KERNEL | __GFP_NOWARN));
}

TEST(pages)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	char *addr = page_address(page);

	CHECK(virt_to_page(addr + PAGE_SIZE + 17) == page + 1);
	CHECK_EQ(offset_in_page(addr + 17), 17);
	CHECK(mem_is_zero(addr, 4 * PAGE_SIZE));
	__free_pages(page, 2);
}

TEST(slabs)
{
	struct kmem_cache *cache = KMEM_CACHE(work, SLAB_HWCACHE_ALIGN);
	struct work *a = kmem_cache_zalloc(cache, GFP_NOIO);
	struct work *b = kmem_cache_alloc(cache, GFP_NOWAIT);

	CHECK(mem_is_zero(a, sizeof(*a)));
	CHECK(IS_ALIGNED((unsigned long)b, 64));
	kmem_cache_free(cache, a);
	kmem_cache_free(cache, b);
	kmem_cache_destroy(cache);
}

TEST(slab_leak)
{
	struct kmem_cache *cache = KMEM_CACHE(work, 0);
	void *obj = kmem_cache_alloc(cache, GFP_KERNEL);

	capture_log();
	kmem_cache_destroy(cache);
	CHECK(logged("slab work: 1 objects are left"));
	CHECK_EQ(shim_warnings(), 1);
	shim_clear_warnings();
	kfree(obj);
}

static void free_element(void *arg)
{
	void **a = arg;

	msleep(5);
	WRITE_ONCE(test_condition, 1);
	mempool_free(a[1], a[0]);
}

TEST(mempool_blocks)
{
	mempool_t pool;
	void *a, *b, *c, *args[2];
	struct task_struct *task;

	CHECK_EQ(mempool_init_kmalloc_pool(&pool, 2, 100), 0);
	port_set_alloc_failure(all_fail);
	a = mempool_alloc(&pool, GFP_NOIO);
	b = mempool_alloc(&pool, GFP_NOWAIT);
	CHECK(a && b && !mempool_is_saturated(&pool));
	CHECK(!mempool_alloc(&pool, GFP_NOWAIT));
	args[0] = &pool;
	args[1] = a;
	WRITE_ONCE(test_condition, 0);
	task = shim_spawn("free", free_element, args);
	c = mempool_alloc(&pool, GFP_NOIO);
	CHECK(c == a);
	CHECK_EQ(READ_ONCE(test_condition), 1);
	shim_join(task);
	port_set_alloc_failure(NULL);
	mempool_free(b, &pool);
	mempool_free(c, &pool);
	CHECK(mempool_is_saturated(&pool));
	CHECK_EQ(mempool_resize(&pool, 5), 0);
	CHECK_EQ(mempool_resize(&pool, 1), 0);
	mempool_exit(&pool);
	mempool_exit(&pool);
}

static mempool_t *contended_pool;

static void use_pool(void *arg)
{
	for (int i = 0; i < 500; i++) {
		void *e = mempool_alloc(contended_pool, GFP_NOIO);

		memset(e, i, 64);
		mempool_free(e, contended_pool);
	}
}

TEST(mempool_contended)
{
	struct task_struct *tasks[4];

	contended_pool = mempool_create_kmalloc_pool(2, 64);
	port_set_alloc_failure(all_fail);
	for (int i = 0; i < 4; i++)
		tasks[i] = shim_spawn("pool", use_pool, NULL);
	for (int i = 0; i < 4; i++)
		shim_join(tasks[i]);
	port_set_alloc_failure(NULL);
	mempool_destroy(contended_pool);
}

struct counters {
	u64 a, b;
};

static struct counters *counters;

static void count_percpu(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		this_cpu_inc(counters->a);
		this_cpu_add(counters->b, 2);
	}
}

TEST(percpu)
{
	struct task_struct *tasks[6];
	u64 a = 0, b = 0;
	int cpu;

	counters = alloc_percpu(struct counters);
	for (int i = 0; i < 6; i++)
		tasks[i] = shim_spawn("percpu", count_percpu, NULL);
	for (int i = 0; i < 6; i++)
		shim_join(tasks[i]);
	for_each_possible_cpu(cpu) {
		a += per_cpu_ptr(counters, cpu)->a;
		b += per_cpu_ptr(counters, cpu)->b;
	}
	CHECK_EQ(a, 6000);
	CHECK_EQ(b, 12000);
	free_percpu(counters);
}

TEST(random_numbers)
{
	unsigned int seen = 0;
	uuid_t u;

	for (int i = 0; i < 1000; i++) {
		u32 v = get_random_u32_below(10);

		CHECK(v < 10);
		seen |= 1U << v;
	}
	CHECK_EQ(seen, 1023);
	uuid_gen(&u);
	CHECK_EQ(u.b[6] >> 4, 4);
	CHECK_EQ(u.b[8] >> 6, 2);
}

/* Bios */

TEST(bio_pages)
{
	struct page *pages = alloc_pages(GFP_KERNEL, 2);
	struct bio_vec vecs[4], bv;
	struct bvec_iter iter;
	struct bio bio;
	int n = 0;

	bio_init(&bio, NULL, vecs, 4, REQ_OP_WRITE);
	CHECK_EQ(bio_add_page(&bio, pages, 4096, 0), 4096);
	CHECK_EQ(bio_add_page(&bio, pages + 1, 1024, 0), 1024);
	CHECK_EQ(bio.bi_vcnt, 1);
	CHECK_EQ(bio_add_page(&bio, pages + 3, 512, 512), 512);
	CHECK_EQ(bio.bi_vcnt, 2);
	CHECK_EQ(bio_sectors(&bio), 11);
	CHECK_EQ(bio_segments(&bio), 3);
	bio_advance(&bio, 512);
	bio_for_each_segment(bv, &bio, iter) {
		static const unsigned int lens[] = { 3584, 1024, 512 };

		CHECK_EQ(bv.bv_len, lens[n++]);
	}
	n = 0;
	bio_for_each_bvec(bv, &bio, iter)
		CHECK_EQ(bv.bv_len, n++ ? 512 : 4608);
	bio_advance(&bio, 4096 + 512);
	CHECK(bio_data(&bio) == (char *)(pages + 3) + 512);
	CHECK_EQ(bio.bi_iter.bi_idx, 1);
	bio_uninit(&bio);
	__free_pages(pages, 2);
}

/* Clone, split, trim and advance against a plain byte array. */
TEST(bio_clone_advance)
{
	struct page *pages = alloc_pages(GFP_KERNEL, 3);
	u8 *data = page_address(pages);
	struct bio_set bs;
	u32 state = 11;

	for (int i = 0; i < 8 * 4096; i++)
		data[i] = i / 512;
	CHECK_EQ(bioset_init(&bs, 4, 40, BIOSET_NEED_BVECS), 0);
	for (int round = 0; round < 300; round++) {
		struct bio *bio = bio_alloc_bioset(NULL, 16, REQ_OP_READ,
						   GFP_NOIO, &bs);
		struct bio *clone, *split;
		struct bvec_iter iter;
		struct bio_vec bv;
		u32 pos = 0, from, len, at;
		u8 expect;

		memset((char *)bio - 40, 0xa5, 40);
		bio->bi_iter.bi_sector = 1000;
		/* Every other page only in part, so that they do not merge. */
		for (int i = 0; i < 8; i++)
			bio_add_page(bio, pages + i, i % 2 ? 2048 : 4096, 0);
		clone = bio_alloc_clone(NULL, bio, GFP_NOIO, &bs);
		from = random_below(&state, 40);
		len = 2 + random_below(&state, 48 - from - 2);
		bio_trim(clone, from, len);
		CHECK_EQ(clone->bi_iter.bi_sector, 1000 + from);
		at = 1 + random_below(&state, len - 1);
		split = bio_split(clone, at, GFP_NOIO, &bs);
		CHECK_EQ(bio_sectors(split), at);
		CHECK_EQ(bio_end_sector(split), clone->bi_iter.bi_sector);
		for (struct bio *b = split; b; b = b == split ? clone : NULL)
			bio_for_each_segment(bv, b, iter) {
				pos = iter.bi_sector - 1000;
				expect = pos / 12 * 16 + pos % 12;
				CHECK_EQ(*(u8 *)bvec_virt(&bv), expect);
				CHECK(bv.bv_len <= 4096);
			}
		bio_put(split);
		bio_put(clone);
		CHECK_EQ(bio_sectors(bio), 48);
		bio_put(bio);
	}
	bioset_exit(&bs);
	__free_pages(pages, 3);
}

static void end_count(struct bio *bio)
{
	atomic_inc(&test_counter);
	bio_put(bio);
}

TEST(bio_chain)
{
	struct bio *parent = bio_alloc(NULL, 0, REQ_OP_WRITE, GFP_KERNEL);
	struct bio *a = bio_alloc(NULL, 0, REQ_OP_WRITE, GFP_KERNEL);
	struct bio *b = bio_alloc(NULL, 0, REQ_OP_WRITE, GFP_KERNEL);

	atomic_set(&test_counter, 0);
	parent->bi_end_io = end_count;
	bio_get(parent);
	bio_chain(a, parent);
	bio_chain(b, parent);
	bio_endio(a);
	bio_endio(parent);
	CHECK_EQ(atomic_read(&test_counter), 0);
	bio_io_error(b);
	CHECK_EQ(atomic_read(&test_counter), 1);
	CHECK_EQ(parent->bi_status, BLK_STS_IOERR);
	bio_put(parent);
}

static void end_nothing(struct bio *bio)
{
}

DEATH_TEST(bio_ended_twice, "bio_endio() twice")
{
	struct bio bio;

	bio_init(&bio, NULL, NULL, 0, REQ_OP_WRITE);
	bio.bi_end_io = end_nothing;
	bio_endio(&bio);
	bio_endio(&bio);
}

TEST(bio_leak)
{
	struct bio_set bs;
	struct bio *bio;

	bioset_init(&bs, 2, 0, 0);
	bio = bio_alloc_bioset(NULL, 1, REQ_OP_READ, GFP_KERNEL, &bs);
	capture_log();
	bioset_exit(&bs);
	CHECK(logged("1 elements are left"));
	shim_clear_warnings();
	kfree(bio);
}

TEST(bio_lists)
{
	struct bio_list list = BIO_EMPTY_LIST, other = BIO_EMPTY_LIST;
	struct bio bios[4];

	for (int i = 0; i < 4; i++)
		bio_list_add(i < 2 ? &list : &other, &bios[i]);
	bio_list_merge(&list, &other);
	CHECK_EQ(bio_list_size(&list), 4);
	for (int i = 0; i < 4; i++)
		CHECK(bio_list_pop(&list) == &bios[i]);
	CHECK(!bio_list_pop(&list));
}

TEST(status_codes)
{
	CHECK_EQ(blk_status_to_errno(BLK_STS_IOERR), -EIO);
	CHECK_EQ(blk_status_to_errno(BLK_STS_MEDIUM), -ENODATA);
	CHECK_EQ(errno_to_blk_status(-ENOSPC), BLK_STS_NOSPC);
	CHECK_EQ(errno_to_blk_status(-E2BIG), BLK_STS_IOERR);
}

/* Devices of the threads back end */

#define BUF_SECTORS 2048

static struct block_device *open_disk(const char *name, u64 bytes,
				      unsigned int block_size)
{
	struct port_bdev_config c = {
		.name = name, .bytes = bytes, .block_size = block_size,
		.write_cache = true, .discard = true,
	};

	return port_bdev_open(&c);
}

static void fill(u8 *buf, u32 seed, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = random_below(&seed, 256);
}

TEST(bdev_memory)
{
	struct block_device *bdev = open_disk("disk", 4 << 20, 0);
	u8 *a = vmalloc(BUF_SECTORS * 512), *b = vmalloc(BUF_SECTORS * 512);
	struct port_bdev_stats stats;

	fill(a, 1, BUF_SECTORS * 512);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_WRITE, 7, a, BUF_SECTORS - 1), 0);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_READ, 7, b, BUF_SECTORS - 1), 0);
	CHECK(memcmp(a, b, (BUF_SECTORS - 1) * 512) == 0);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 0, a,
			    8), 0);
	CHECK_EQ(dm_host_flush(bdev), 0);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_WRITE_ZEROES, 2, NULL, 2), 0);
	CHECK(mem_is_zero((char *)port_bdev_memory(bdev) + 1024, 1024));
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_DISCARD, 2, NULL, 2), 0);
	port_bdev_get_stats(bdev, &stats);
	CHECK_EQ(stats.flushes, 2);
	CHECK_EQ(stats.fuas, 1);
	CHECK_EQ(stats.read_sectors, BUF_SECTORS - 1);
	capture_log();
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_READ, 8191, b, 2), -EIO);
	CHECK(logged("beyond the end"));
	port_bdev_close(bdev);
	vfree(a);
	vfree(b);
}

TEST(bdev_file)
{
	char path[] = "/tmp/shim-test-XXXXXX";
	struct port_bdev_config c = { .name = "f", .path = path };
	struct block_device *bdev;
	u8 *a = kmalloc(8192, GFP_KERNEL), *b = kmalloc(8192, GFP_KERNEL);
	int fd = mkstemp(path);

	close(fd);
	CHECK(!port_bdev_open(&c));
	c.bytes = 1 << 20;
	c.block_size = 4096;
	c.write_cache = true;
	bdev = port_bdev_open(&c);
	fill(a, 2, 8192);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_WRITE, 16, a, 16), 0);
	CHECK_EQ(dm_host_flush(bdev), 0);
	capture_log();
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_WRITE, 17, a, 8), -EIO);
	CHECK(logged("not aligned"));
	port_bdev_close(bdev);
	c.bytes = 0;
	c.read_only = true;
	bdev = port_bdev_open(&c);
	CHECK_EQ(bdev_nr_sectors(bdev), 2048);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_READ, 16, b, 16), 0);
	CHECK(memcmp(a, b, 8192) == 0);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_WRITE, 16, a, 16), -EROFS);
	port_bdev_close(bdev);
	unlink(path);
	kfree(a);
	kfree(b);
}

TEST(bdev_faults)
{
	struct block_device *bdev = open_disk("disk", 1 << 20, 0);
	u8 *buf = kzalloc(4096, GFP_KERNEL);

	port_bdev_fault(bdev, PORT_FAULT_WRITE, 10, 2, 2, BLK_STS_MEDIUM);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_WRITE, 4, buf, 6), 0);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_WRITE, 4, buf, 7), -ENODATA);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_READ, 10, buf, 1), 0);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_WRITE, 11, buf, 1), -ENODATA);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_WRITE, 11, buf, 1), 0);
	port_bdev_fault(bdev, PORT_FAULT_FLUSH, 0, 0, PORT_FAULT_ALWAYS,
			BLK_STS_IOERR);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(dm_host_flush(bdev), -EIO);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_WRITE | REQ_FUA, 0, buf, 1), 0);
	port_bdev_clear_faults(bdev);
	CHECK_EQ(dm_host_flush(bdev), 0);
	port_bdev_set_gone(bdev, true);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_READ, 0, buf, 1), -ENODEV);
	port_bdev_set_gone(bdev, false);
	CHECK_EQ(dm_host_rw(bdev, REQ_OP_READ, 0, buf, 1), 0);
	port_bdev_close(bdev);
	kfree(buf);
}

static void async_done(void *data, int error)
{
	CHECK(in_hardirq() && irqs_disabled());
	CHECK_EQ(error, 0);
	complete(data);
}

TEST(bdev_hold_and_latency)
{
	struct block_device *bdev = open_disk("disk", 1 << 20, 0);
	DECLARE_COMPLETION_ONSTACK(done);
	struct port_bdev_stats stats;
	u8 *buf = kzalloc(4096, GFP_KERNEL);
	u64 start;

	port_bdev_hold(bdev, true);
	dm_host_rw_async(bdev, REQ_OP_WRITE, 0, buf, 8, async_done, &done);
	CHECK_EQ(wait_for_completion_timeout(&done, 5), 0);
	port_bdev_get_stats(bdev, &stats);
	CHECK_EQ(stats.in_flight, 1);
	port_bdev_hold(bdev, false);
	wait_for_completion(&done);
	port_bdev_set_latency(bdev, 10 * NSEC_PER_MSEC);
	start = ktime_get_ns();
	for (int i = 0; i < 8; i++)
		dm_host_rw_async(bdev, REQ_OP_READ, 0, buf + i * 512, 1,
				 async_done, &done);
	for (int i = 0; i < 8; i++)
		wait_for_completion(&done);
	CHECK(ktime_get_ns() - start >= 10 * NSEC_PER_MSEC);
	port_bdev_close(bdev);
	kfree(buf);
}

TEST(pmem)
{
	struct port_bdev_config c = {
		.name = "pmem", .bytes = 1 << 20, .pmem = true,
	};
	struct block_device *bdev = port_bdev_open(&c);
	u8 buf[300], back[300];
	void *addr;
	u8 *p;

	CHECK(bdev->dax && dax_synchronous(bdev->dax));
	CHECK_EQ(dax_direct_access(bdev->dax, 1, 1000, DAX_ACCESS, &addr, NULL),
		 255);
	CHECK_EQ(dax_direct_access(bdev->dax, 256, 1, DAX_ACCESS, &addr, NULL),
		 -ERANGE);
	p = addr;
	fill(buf, 3, sizeof(buf));
	memcpy_flushcache(p, buf, sizeof(buf));
	pmem_wmb();
	CHECK_EQ(copy_mc_to_kernel(back, p, sizeof(back)), 0);
	CHECK(memcmp(buf, back, sizeof(buf)) == 0);
	port_pmem_poison(bdev, 4096 + 128, 1);
	CHECK_EQ(copy_mc_to_kernel(back, p, 128), 0);
	CHECK_EQ(copy_mc_to_kernel(back, p + 10, 200), 200 - 118);
	CHECK_EQ(copy_mc_to_kernel(back, p + 130, 10), 10);
	CHECK_EQ(copy_mc_to_kernel(back, p + 192, 100), 0);
	memcpy_flushcache(p, buf, sizeof(buf));
	CHECK_EQ(copy_mc_to_kernel(back, p, 300), 300 - 128);
	port_pmem_heal_by_store(bdev, true);
	memcpy_flushcache(p + 129, buf, 63);
	CHECK_EQ(copy_mc_to_kernel(back, p, 300), 300 - 128);
	memcpy_flushcache(p + 128, buf, 64);
	CHECK_EQ(copy_mc_to_kernel(back, p, 300), 0);
	port_bdev_close(bdev);
}

/*
 * A target of our own: the whole of a device, 1:1 from an offset.  It writes
 * down what comes to it.
 */
struct mirror {
	struct dm_dev *dev;
	sector_t start;
	char log[512];
	int resumed;
	blk_status_t end_status;	/* turns each success into this */
	int map_result;			/* instead of REMAPPED, if not 0 */
	unsigned int partial;		/* accept no more than this */
	bool requeue;
};

#define PER_BIO 24

static struct mirror *last_mirror;
/* Where the target allocates with GFP_KERNEL. */
static const char *mirror_allocates = "";
static DEFINE_SPINLOCK(mirror_lock);

__attribute__((__format__(__printf__, 2, 3)))
static void note(struct mirror *m, const char *fmt, ...)
{
	unsigned long flags;
	size_t len;
	va_list args;

	spin_lock_irqsave(&mirror_lock, flags);
	len = strlen(m->log);
	va_start(args, fmt);
	vsnprintf(m->log + len, sizeof(m->log) - len, fmt, args);
	va_end(args);
	spin_unlock_irqrestore(&mirror_lock, flags);
}

static void allocate_in(const char *where)
{
	if (strcmp(mirror_allocates, where) == 0)
		kfree(kmalloc(8, GFP_KERNEL));
}

static const char *take_log(void)
{
	static char copy[512];

	spin_lock_irq(&mirror_lock);
	strscpy(copy, last_mirror->log, sizeof(copy));
	last_mirror->log[0] = '\0';
	spin_unlock_irq(&mirror_lock);
	return copy;
}

static int mirror_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	static const struct dm_arg count = { 0, 2, "Bad count" };
	struct dm_arg_set as = { argc, argv };
	unsigned int words, max_io;
	struct mirror *m;
	const char *path;
	int ret;

	path = dm_shift_arg(&as);
	if (!path) {
		ti->error = "Device missing";
		return -EINVAL;
	}
	ret = dm_read_arg_group(&count, &as, &words, &ti->error);
	if (ret)
		return ret;
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (words == 2 && kstrtouint(as.argv[1], 10, &max_io) == 0)
		dm_set_target_max_io_len(ti, max_io);
	ret = dm_get_device(ti, path, dm_table_get_mode(ti->table), &m->dev);
	if (ret) {
		ti->error = "No device";
		kfree(m);
		return ret;
	}
	ti->private = m;
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->num_write_zeroes_bios = 1;
	ti->per_io_data_size = PER_BIO;
	last_mirror = m;
	return 0;
}

static void mirror_dtr(struct dm_target *ti)
{
	struct mirror *m = ti->private;

	dm_put_device(ti, m->dev);
	kfree(m);
}

static int mirror_map(struct dm_target *ti, struct bio *bio)
{
	struct mirror *m = ti->private;
	sector_t offset = dm_target_offset(ti, bio->bi_iter.bi_sector);
	char *data = dm_per_bio_data(bio, PER_BIO);

	allocate_in("map");
	memset(data, 0x5a, PER_BIO);
	if (dm_bio_from_per_bio_data(data, PER_BIO) != bio)
		shim_bug("per-bio data");
	note(m, "%s%s%llu+%u ", bio->bi_opf & REQ_PREFLUSH ? "F" : "",
	     op_is_write(bio->bi_opf) ? "w" : "r", offset, bio_sectors(bio));
	if (READ_ONCE(m->map_result))
		return m->map_result;
	if (m->partial && bio_sectors(bio) > m->partial)
		dm_accept_partial_bio(bio, m->partial);
	bio_set_dev(bio, m->dev->bdev);
	bio->bi_iter.bi_sector = m->start + offset;
	return DM_MAPIO_REMAPPED;
}

static int mirror_end_io(struct dm_target *ti, struct bio *bio,
			 blk_status_t *error)
{
	struct mirror *m = ti->private;

	if (memchr_inv(dm_per_bio_data(bio, PER_BIO), 0x5a, PER_BIO))
		shim_bug("per-bio data");
	if (!*error && m->end_status)
		*error = m->end_status;
	return READ_ONCE(m->requeue) ? DM_ENDIO_REQUEUE : DM_ENDIO_DONE;
}

static void mirror_presuspend(struct dm_target *ti)
{
	allocate_in("presuspend");
	note(ti->private, "presuspend ");
}

static void mirror_undo(struct dm_target *ti)
{
	note(ti->private, "undo ");
}

static void mirror_postsuspend(struct dm_target *ti)
{
	CHECK(dm_suspended(ti));
	allocate_in("postsuspend");
	note(ti->private, "postsuspend ");
}

static int mirror_preresume(struct dm_target *ti)
{
	allocate_in("preresume");
	note(ti->private, "preresume ");
	return 0;
}

static void mirror_resume(struct dm_target *ti)
{
	note(ti->private, "resume ");
	dm_table_event(ti->table);
}

static void mirror_status(struct dm_target *ti, status_type_t type,
			  unsigned int flags, char *result, unsigned int maxlen)
{
	struct mirror *m = ti->private;
	size_t sz = 0;

	if (type == STATUSTYPE_TABLE)
		DMEMIT("%s 2 max %u", m->dev->name, ti->max_io_len);
	else
		DMEMIT("%d", dm_suspended(ti));
}

static int mirror_message(struct dm_target *ti, unsigned int argc, char **argv,
			  char *result, unsigned int maxlen)
{
	size_t sz = 0;

	allocate_in("message");
	if (strcmp(argv[0], "echo"))
		return -EINVAL;
	for (unsigned int i = 1; i < argc; i++)
		DMEMIT("<%s>", argv[i]);
	return 1;
}

static int mirror_iterate(struct dm_target *ti, iterate_devices_callout_fn fn,
			  void *data)
{
	struct mirror *m = ti->private;

	return fn(ti, m->dev, m->start, ti->len, data);
}

static struct target_type mirror_target = {
	.name = "mirror",
	.version = { 1, 0, 0 },
	.ctr = mirror_ctr,
	.dtr = mirror_dtr,
	.map = mirror_map,
	.end_io = mirror_end_io,
	.presuspend = mirror_presuspend,
	.presuspend_undo = mirror_undo,
	.postsuspend = mirror_postsuspend,
	.preresume = mirror_preresume,
	.resume = mirror_resume,
	.status = mirror_status,
	.message = mirror_message,
	.iterate_devices = mirror_iterate,
};

module_dm(mirror);

struct rig {
	struct block_device *disk, *bdev;
	struct mapped_device *md;
	u8 *buf, *back;
};

static void rig_up(struct rig *r, const char *table)
{
	char error[100];

	CHECK_EQ(shim_module_init(), 0);
	r->disk = open_disk("disk", 8 << 20, 0);
	CHECK_EQ(dm_host_add_bdev(r->disk), 0);
	CHECK_EQ(dm_host_add_bdev(r->disk), -EEXIST);
	r->md = dm_host_start("m", table, false, error, sizeof(error));
	if (!CHECK(r->md))
		exit(1);
	r->bdev = dm_host_bdev(r->md);
	r->buf = vmalloc(1 << 20);
	r->back = vmalloc(1 << 20);
	fill(r->buf, 9, 1 << 20);
	CHECK_STR(take_log(), "preresume resume ");
}

static void rig_down(struct rig *r)
{
	CHECK_EQ(dm_host_remove(r->md), 0);
	dm_host_remove_bdev(r->disk);
	port_bdev_close(r->disk);
	vfree(r->buf);
	vfree(r->back);
	shim_module_exit();
}

TEST(dm_split)
{
	struct rig r;

	rig_up(&r, "0 1000 mirror disk 2 max 8\n1000 600 mirror disk 2 max 32");
	CHECK_EQ(bdev_nr_sectors(r.bdev), 1600);
	last_mirror = dm_host_target(r.md, 0)->private;
	take_log();
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_WRITE, 5, r.buf, 20), 0);
	CHECK_STR(take_log(), "w5+3 w8+8 w16+8 w24+1 ");
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_READ, 5, r.back, 20), 0);
	CHECK(memcmp(r.buf, r.back, 20 * 512) == 0);
	take_log();
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_READ, 990, r.back, 50), 0);
	CHECK_STR(take_log(), "r990+2 r992+8 ");
	last_mirror = dm_host_target(r.md, 1)->private;
	CHECK_STR(take_log(), "r0+32 r32+8 ");
	/* As large as they are, whatever the target wants of reads and writes. */
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_DISCARD, 1000, NULL, 100), 0);
	CHECK_STR(take_log(), "w0+100 ");
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_WRITE_ZEROES, 1005, NULL, 100), 0);
	CHECK_STR(take_log(), "w5+100 ");
	rig_down(&r);
}

TEST(dm_flush)
{
	struct rig r;

	rig_up(&r, "0 1000 mirror disk 2 max 8");
	CHECK(bdev_write_cache(r.bdev));
	CHECK_EQ(dm_host_flush(r.bdev), 0);
	CHECK_STR(take_log(), "Fw0+0 ");
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 0,
			    r.buf, 9), 0);
	CHECK_STR(take_log(), "Fw0+0 w0+8 w8+1 ");
	port_bdev_fault(r.disk, PORT_FAULT_FLUSH, 0, 0, 1, BLK_STS_IOERR);
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_WRITE | REQ_PREFLUSH, 0, r.buf, 9),
		 -EIO);
	CHECK_STR(take_log(), "Fw0+0 ");
	rig_down(&r);
}

TEST(dm_results)
{
	struct rig r;

	rig_up(&r, "0 1000 mirror disk 0");
	last_mirror->partial = 7;
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_WRITE, 0, r.buf, 16), 0);
	CHECK_STR(take_log(), "w0+16 w7+9 w14+2 ");
	CHECK(memcmp(port_bdev_memory(r.disk), r.buf, 16 * 512) == 0);
	last_mirror->partial = 0;
	last_mirror->end_status = BLK_STS_NOSPC;
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_READ, 0, r.back, 1), -ENOSPC);
	last_mirror->end_status = 0;
	WRITE_ONCE(last_mirror->map_result, DM_MAPIO_KILL);
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_READ, 0, r.back, 1), -EIO);
	WRITE_ONCE(last_mirror->map_result, DM_MAPIO_REQUEUE);
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_READ, 0, r.back, 1), -EIO);
	WRITE_ONCE(last_mirror->map_result, 0);
	port_bdev_fault(r.disk, PORT_FAULT_READ, 20, 1, 1, BLK_STS_MEDIUM);
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_READ, 10, r.back, 20), -ENODATA);
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_READ | REQ_NOWAIT, 10, r.back, 20),
		 -EOPNOTSUPP);
	rig_down(&r);
}

static void suspend_it(void *arg)
{
	struct rig *r = arg;

	CHECK_EQ(dm_host_suspend(r->md, false), 0);
	atomic_set(&test_counter, 1);
}

static void complete_ok(void *data, int error)
{
	CHECK_EQ(error, 0);
	complete(data);
}

TEST(dm_suspend)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct task_struct *task;
	struct rig r;

	rig_up(&r, "0 1000 mirror disk 0");
	CHECK_EQ(dm_host_events(r.md), 1);
	atomic_set(&test_counter, 0);
	port_bdev_hold(r.disk, true);
	dm_host_rw_async(r.bdev, REQ_OP_WRITE, 0, r.buf, 8, complete_ok, &done);
	CHECK_EQ(dm_host_in_flight(r.md), 1);
	CHECK_EQ(dm_host_remove(r.md), -EBUSY);
	task = shim_spawn("suspend", suspend_it, &r);
	msleep(10);
	CHECK_EQ(atomic_read(&test_counter), 0);
	dm_host_rw_async(r.bdev, REQ_OP_READ, 0, r.back, 8, complete_ok, &done);
	CHECK_STR(take_log(), "w0+8 presuspend ");
	port_bdev_hold(r.disk, false);
	wait_for_completion(&done);
	shim_join(task);
	CHECK_STR(take_log(), "postsuspend ");
	CHECK_EQ(wait_for_completion_timeout(&done, 5), 0);
	CHECK_EQ(dm_host_suspend(r.md, false), -EINVAL);
	CHECK_EQ(dm_host_resume(r.md), 0);
	wait_for_completion(&done);
	CHECK_STR(take_log(), "preresume resume r0+8 ");
	CHECK(memcmp(r.buf, r.back, 4096) == 0);
	rig_down(&r);
}

static void suspend_interrupted(void *arg)
{
	struct rig *r = arg;

	CHECK_EQ(dm_host_suspend(r->md, false), -EINTR);
}

TEST(dm_suspend_interrupted)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct task_struct *task;
	struct rig r;

	rig_up(&r, "0 1000 mirror disk 0");
	port_bdev_hold(r.disk, true);
	dm_host_rw_async(r.bdev, REQ_OP_WRITE, 0, r.buf, 8, complete_ok, &done);
	task = shim_spawn("suspend", suspend_interrupted, &r);
	msleep(5);
	shim_signal(task, true);
	shim_join(task);
	CHECK_STR(take_log(), "w0+8 presuspend undo ");
	port_bdev_hold(r.disk, false);
	wait_for_completion(&done);
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_READ, 0, r.back, 8), 0);
	rig_down(&r);
}

static void suspend_noflush(void *arg)
{
	struct rig *r = arg;

	CHECK_EQ(dm_host_suspend(r->md, true), 0);
}

TEST(dm_requeue)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct task_struct *task;
	struct rig r;

	rig_up(&r, "0 1000 mirror disk 2 max 8");
	port_bdev_hold(r.disk, true);
	dm_host_rw_async(r.bdev, REQ_OP_WRITE, 4, r.buf, 8, complete_ok, &done);
	WRITE_ONCE(last_mirror->requeue, true);
	task = shim_spawn("suspend", suspend_noflush, &r);
	while (!dm_noflush_suspending(dm_host_target(r.md, 0)))
		msleep(1);
	port_bdev_hold(r.disk, false);
	shim_join(task);
	CHECK(!completion_done(&done));
	WRITE_ONCE(last_mirror->requeue, false);
	take_log();
	CHECK_EQ(dm_host_resume(r.md), 0);
	wait_for_completion(&done);
	CHECK(strlen(take_log()) == strlen("preresume resume w4+4 w8+4 "));
	CHECK(memcmp((char *)port_bdev_memory(r.disk) + 2048, r.buf, 4096) == 0);
	rig_down(&r);
}

TEST(dm_status_and_message)
{
	char text[200], tiny[20];
	struct rig r;

	rig_up(&r, "0 1000 mirror disk 2 max 8");
	CHECK_EQ(dm_host_status(r.md, STATUSTYPE_INFO, 0, text, sizeof(text)), 0);
	CHECK_STR(text, "0 1000 mirror 0");
	CHECK_EQ(dm_host_status(r.md, STATUSTYPE_INFO, 0, tiny, 12), -ENOSPC);
	CHECK_EQ(dm_host_status(r.md, STATUSTYPE_TABLE, 0, text, sizeof(text)),
		 0);
	CHECK(str_has_prefix(text, "0 1000 mirror 240:"));
	/* What was printed is taken back. */
	CHECK_EQ(dm_host_load(r.md, text, false, NULL, 0), 0);
	CHECK_EQ(dm_host_resume(r.md), 0);
	CHECK_EQ(dm_host_message(r.md, "echo a\\ b  c", text, sizeof(text)), 1);
	CHECK_STR(text, "<a b><c>");
	CHECK_EQ(dm_host_message(r.md, "what", text, sizeof(text)), -EINVAL);
	CHECK_EQ(dm_host_message(r.md, " ", text, sizeof(text)), -EINVAL);
	rig_down(&r);
}

TEST(dm_reload)
{
	struct mirror *first;
	struct rig r;

	rig_up(&r, "0 1000 mirror disk 2 max 8");
	first = last_mirror;
	CHECK_EQ(dm_host_load(r.md, "0 2000 mirror disk 0", false, NULL, 0), 0);
	CHECK(last_mirror != first);
	CHECK_EQ(bdev_nr_sectors(r.bdev), 1000);
	CHECK_EQ(dm_host_resume(r.md), 0);
	CHECK_EQ(bdev_nr_sectors(r.bdev), 2000);
	CHECK_STR(take_log(), "preresume resume ");
	CHECK_EQ(dm_host_load(r.md, "0 10 mirror disk 0", false, NULL, 0), 0);
	dm_host_clear(r.md);
	CHECK_EQ(dm_host_resume(r.md), 0);
	CHECK_EQ(bdev_nr_sectors(r.bdev), 2000);
	last_mirror = dm_host_target(r.md, 0)->private;
	rig_down(&r);
}

TEST(dm_bad_tables)
{
	static const struct {
		const char *table, *error;
	} bad[] = {
		{ "0 1000 mirror disk 3 a b c", "Bad count" },
		{ "0 1000 mirror disk 2 a", "Bad count" },
		{ "0 1000 mirror", "Device missing" },
		{ "0 1000 mirror nodisk 0", "No device" },
		{ "0 1000 nothing disk 0", "unknown target type" },
		{ "1 1000 mirror disk 0", "gap or overlap in table" },
		{ "0 0 mirror disk 0", "zero-length target" },
		{ "hello", "not a table line" },
		{ "", "empty table" },
	};
	char error[100];
	struct rig r;

	rig_up(&r, "0 1000 mirror disk 0");
	capture_log();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(dm_host_load(r.md, bad[i].table, false, error,
				   sizeof(error)) < 0);
		CHECK_STR(error, bad[i].error);
	}
	/* Too long only shows at resume, as in the kernel. */
	CHECK_EQ(dm_host_load(r.md, "0 20000 mirror disk 0", false, NULL, 0), 0);
	CHECK_EQ(dm_host_resume(r.md), -EINVAL);
	CHECK_EQ(dm_host_resume(r.md), 0);
	r.disk->busy = true;
	CHECK_EQ(dm_host_load(r.md, "0 8 mirror disk 0", false, NULL, 0),
		 -EBUSY);
	r.disk->busy = false;
	CHECK(logged("too small for target"));
	last_mirror = dm_host_target(r.md, 0)->private;
	rig_down(&r);
}

TEST(dm_limits)
{
	struct block_device *big = open_disk("big", 8 << 20, 4096);
	struct rig r;

	CHECK_EQ(dm_host_add_bdev(big), 0);
	rig_up(&r, "0 1000 mirror disk 0");
	CHECK_EQ(bdev_logical_block_size(r.bdev), 512);
	CHECK_EQ(dm_host_load(r.md, "0 1000 mirror big 0", false, NULL, 0), 0);
	CHECK_EQ(dm_host_resume(r.md), 0);
	CHECK_EQ(bdev_logical_block_size(r.bdev), 4096);
	capture_log();
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_READ, 1, r.back, 8), -EIO);
	CHECK(logged("not aligned"));
	rig_down(&r);
	dm_host_remove_bdev(big);
	port_bdev_close(big);
}

TEST(dm_discard_limits)
{
	struct block_device *big = open_disk("big", 8 << 20, 0);
	struct queue_limits *lim = &big->queue.limits;
	struct rig r;

	lim->max_hw_discard_sectors = lim->max_discard_sectors = 512;
	lim->discard_granularity = 8192;
	lim->discard_alignment = 4096;
	CHECK_EQ(dm_host_add_bdev(big), 0);
	rig_up(&r, "0 1000 mirror big 0");
	CHECK_EQ(bdev_max_discard_sectors(r.bdev), 512);
	CHECK_EQ(bdev_discard_granularity(r.bdev), 8192);
	CHECK_EQ(r.bdev->queue.limits.discard_alignment, 4096);
	/* One below that takes none is enough. */
	lim->max_hw_discard_sectors = lim->max_discard_sectors = 0;
	lim->discard_granularity = 0;
	CHECK_EQ(dm_host_load(r.md, "0 1000 mirror disk 0\n1000 1000 mirror big 0", false, NULL,
			      0), 0);
	CHECK_EQ(dm_host_resume(r.md), 0);
	CHECK_EQ(bdev_max_discard_sectors(r.bdev), 0);
	CHECK_EQ(bdev_discard_granularity(r.bdev), 0);
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_DISCARD, 0, NULL, 8), -EOPNOTSUPP);
	last_mirror = dm_host_target(r.md, 0)->private;
	rig_down(&r);
	dm_host_remove_bdev(big);
	port_bdev_close(big);
}

TEST(dm_read_only)
{
	struct rig r;

	rig_up(&r, "0 1000 mirror disk 0");
	CHECK_EQ(dm_host_load(r.md, "0 1000 mirror disk 0", true, NULL, 0), 0);
	CHECK_EQ(dm_host_resume(r.md), 0);
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_WRITE, 0, r.buf, 8), -EROFS);
	CHECK_EQ(dm_host_rw(r.bdev, REQ_OP_READ, 0, r.back, 8), 0);
	rig_down(&r);
}

static void allocate_in_target(const char *where)
{
	char result[20];
	struct rig r;

	rig_up(&r, "0 1000 mirror disk 0");
	mirror_allocates = where;
	dm_host_rw(r.bdev, REQ_OP_READ, 0, r.back, 8);
	dm_host_message(r.md, "echo a", result, sizeof(result));
	dm_host_suspend(r.md, false);
	dm_host_resume(r.md);
	mirror_allocates = "";
	take_log();
	rig_down(&r);
}

TEST(gfp_nowhere_in_target)
{
	allocate_in_target("nowhere");
}

DEATH_TEST(gfp_io_in_map, "wait for I/O, in a task that serves I/O")
{
	allocate_in_target("map");
}

DEATH_TEST(gfp_io_in_message, "wait for I/O, in a task that serves I/O")
{
	allocate_in_target("message");
}

DEATH_TEST(gfp_io_in_presuspend, "wait for I/O, in a task that serves I/O")
{
	allocate_in_target("presuspend");
}

DEATH_TEST(gfp_io_in_postsuspend, "wait for I/O, in a task that serves I/O")
{
	allocate_in_target("postsuspend");
}

DEATH_TEST(gfp_io_in_preresume, "wait for I/O, in a task that serves I/O")
{
	allocate_in_target("preresume");
}

static struct rig load_rig;

static void load_task(void *arg)
{
	u32 state = (u32)(long)arg;
	u8 *buf = kmalloc(64 * 512, GFP_KERNEL);

	for (int i = 0; i < 300; i++) {
		unsigned int n = 1 + random_below(&state, 64);
		sector_t at = 2000 * (long)arg + random_below(&state, 1900);
		blk_opf_t op = i % 10 ? 0 : REQ_PREFLUSH | REQ_FUA;

		fill(buf, state, n * 512);
		CHECK_EQ(dm_host_rw(load_rig.bdev, REQ_OP_WRITE | op, at, buf,
				    n), 0);
		CHECK(memcmp((char *)port_bdev_memory(load_rig.disk) + at * 512,
			     buf, n * 512) == 0);
	}
	kfree(buf);
}

TEST(dm_load_while_suspending)
{
	struct task_struct *tasks[4];

	rig_up(&load_rig, "0 16000 mirror disk 2 max 8");
	for (long i = 0; i < 4; i++)
		tasks[i] = shim_spawn("load", load_task, (void *)i);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(dm_host_suspend(load_rig.md, i % 2), 0);
		if (i % 3 == 0)
			CHECK_EQ(dm_host_load(load_rig.md,
					      "0 16000 mirror disk 2 max 16",
					      false, NULL, 0), 0);
		CHECK_EQ(dm_host_resume(load_rig.md), 0);
	}
	for (int i = 0; i < 4; i++)
		shim_join(tasks[i]);
	rig_down(&load_rig);
}

/* After each test nothing is left over. */
static void check_clean(void)
{
	CHECK_EQ(shim_allocations(), 0);
	CHECK_EQ(shim_warnings(), 0);
	CHECK_EQ(shim_scheduled(), 0);
	shim_clear_warnings();
}

int main(int argc, char **argv)
{
	int ret;

	test_teardown = check_clean;
	ret = test_main(argc, argv);
	shim_stop();
	return ret;
}
