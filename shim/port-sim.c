// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The back end of one thread.  Every task is a fiber with a stack of its own; at
 * each point (a lock taken or let go of, a permit given, an allocation, a store to
 * persistent memory, a submission) the seed decides whether another one goes on.
 * Time is virtual: it stands while somebody can run and jumps to the next deadline
 * when nobody can, or when the seed says so.
 *
 * A world begins with all variables of the shim and of what is linked with it as
 * they were at the start of the program: the linker has put them into the sections
 * world_data and world_bss.  Memory comes from an arena at a fixed address that
 * begins anew as well, so that nothing of one world shows in the next.  To leave a
 * world is to switch away from it.
 *
 * The models of persistent memory and of block devices are the host's: it fills
 * port_pmem_...() and port_bio_submit().
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <shim/host.h>
#include <shim/sim.h>

#include "port.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define WITH_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define NO_ASAN __attribute__((__no_sanitize__("address")))
#define NO_ASAN_VECTORS NO_ASAN
#else
#define WITH_ASAN 0
#define NO_ASAN
#define NO_ASAN_VECTORS __attribute__((__target_clones__("avx2", "default")))
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

/* Random numbers: xoroshiro128+, seeded by splitmix64 */

static u64 mix(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void sim_seed(struct sim_random *r, u64 seed)
{
	r->s[0] = mix(&seed);
	r->s[1] = mix(&seed);
}

static u64 rotate(u64 x, int n)
{
	return (x << n) | (x >> (64 - n));
}

u64 sim_next(struct sim_random *r)
{
	u64 a = r->s[0], b = r->s[1], sum = a + b;

	b ^= a;
	r->s[0] = rotate(a, 24) ^ b ^ (b << 16);
	r->s[1] = rotate(b, 37);
	return sum;
}

/* The world */

#define MAX_FIBERS 64
#define STACK_BYTES (96 * 1024)
#define FOREVER PORT_FOREVER

struct fiber {
	struct task_struct *task;
	void (*fn)(void *arg);
	void *arg;
	void *sp;
	void *fake_stack;		/* AddressSanitizer's */
	const struct port_lock *waits_for;
	struct fiber *joiner;
	u64 deadline;			/* while it is parked */
	u64 ran_at;			/* points, when it ran last */
	bool parked;
	bool permit;
	bool over;
	bool joined;
};

static struct {
	struct sim_config config;
	struct sim_random random;
	struct fiber fiber[MAX_FIBERS];
	u64 runnable;			/* a bit a fiber */
	u64 used;
	u64 slow;			/* those that are chosen seldom */
	struct fiber *runs;
	unsigned int lock_waiters;
	u64 points;
	u64 next_switch, cut_at, next_event;
	u64 now_ns;
	enum sim_end end;
	bool running;
} world;

/* As in the configuration; read by what is compiled with SHIM_ATOMIC_POINTS. */
unsigned int sim_atomic_points;

static struct task_struct *main_task;
static void *main_sp;
static char *stacks;			/* of all fibers, a page between any two */
#if WITH_ASAN
static void *main_fake_stack;
static const void *main_stack;
static size_t main_stack_bytes;
#endif

static struct fiber *fiber_of(struct task_struct *task)
{
	return task->port;
}

static unsigned int index_of(const struct fiber *f)
{
	return f - world.fiber;
}

static char *stack_of(const struct fiber *f)
{
	return stacks + index_of(f) * (STACK_BYTES + PAGE_SIZE) + PAGE_SIZE;
}

struct sim_random *sim_random(void)
{
	return &world.random;
}

u64 sim_points(void)
{
	return world.points;
}

bool sim_spinlock_held(void)
{
	return world.running && current->preempt > 0 && current->nr_held;
}

/* Switching */

void sim_switch_stack(void **save, void *load);
__asm__(
	".text\n"
	".globl sim_switch_stack\n"
	".type sim_switch_stack, @function\n"
	"sim_switch_stack:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size sim_switch_stack, . - sim_switch_stack\n");

/* From @from (NULL: the host) to @to (NULL: the host). */
static void switch_to(struct fiber *from, struct fiber *to)
{
	world.runs = to;
	shim_task = to ? to->task : main_task;
	if (to)
		to->ran_at = world.points;
#if WITH_ASAN
	__sanitizer_start_switch_fiber(from ? &from->fake_stack : &main_fake_stack,
				       to ? stack_of(to) : main_stack,
				       to ? STACK_BYTES : main_stack_bytes);
#endif
	sim_switch_stack(from ? &from->sp : &main_sp, to ? to->sp : main_sp);
#if WITH_ASAN
	__sanitizer_finish_switch_fiber(from ? from->fake_stack : main_fake_stack,
					NULL, NULL);
#endif
}

static void check_all_freed(void);

static void __attribute__((__noreturn__)) leave(enum sim_end end)
{
	struct fiber *self = world.runs;

	if (end != SIM_FAILED)
		check_all_freed();
	world.end = end;
	world.running = false;
	switch_to(self, NULL);
	__builtin_trap();
}

void sim_cut(void)
{
	leave(SIM_CUT);
}

void port_panic(void)
{
	if (!world.running)
		abort();
	leave(SIM_FAILED);
}

void sim_fail(const char *fmt, ...)
{
	char text[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	world.next_event = U64_MAX;
	pr_emerg("%s\n", text);
	port_panic();
}

void sim_print_tasks(void (*print)(const char *line))
{
	char line[200];

	for (unsigned int i = 0; i < MAX_FIBERS; i++) {
		const struct fiber *f = &world.fiber[i];

		if (!(world.used & BIT_ULL(i)) || f->over)
			continue;
		snprintf(line, sizeof(line), "  task %s/%d, CPU %d: %s%s\n",
			 f->task->comm, f->task->id, f->task->cpu,
			 f == world.runs ? "runs" :
			 f->waits_for ? "waits for a lock" :
			 f->parked ? "sleeps" : "could run",
			 f->parked && f->deadline != FOREVER ? ", with a deadline" : "");
		print(line);
	}
}

/* Scheduling */

static void wake(struct fiber *f)
{
	world.runnable |= BIT_ULL(index_of(f));
}

static struct fiber *earliest(void)
{
	struct fiber *first = NULL;
	u64 rest = world.used & ~world.runnable;

	for (; rest; rest &= rest - 1) {
		struct fiber *f = &world.fiber[__builtin_ctzll(rest)];

		if (f->parked && f->deadline != FOREVER &&
		    (!first || f->deadline < first->deadline))
			first = f;
	}
	return first;
}

/* The clock goes on to the next deadline; false: there is none. */
static bool jump(void)
{
	struct fiber *first = earliest();

	if (!first)
		return false;
	if (first->deadline > world.now_ns)
		world.now_ns = first->deadline;
	wake(first);
	return true;
}

static void log_line(const char *line)
{
	pr_err("%s", line);
}

static void deadlock(void)
{
	world.next_event = U64_MAX;
	sim_print_tasks(log_line);
	sim_fail("nothing can run any more, and nothing will wake anybody");
}

static struct fiber *oldest(u64 set)
{
	struct fiber *old = NULL;

	for (; set; set &= set - 1) {
		struct fiber *f = &world.fiber[__builtin_ctzll(set)];

		if (!old || f->ran_at < old->ran_at)
			old = f;
	}
	return old;
}

static void (*idle_fn)(u64 from_ns, u64 to_ns);

void sim_set_idle(void (*fn)(u64 from_ns, u64 to_ns))
{
	idle_fn = fn;
}

static void wait_for_clock(void)
{
	u64 before = world.now_ns;

	if (!jump())
		deadlock();
	if (idle_fn && world.now_ns > before)
		idle_fn(before, world.now_ns);
}

static struct fiber *pick(void)
{
	u64 set, r;
	int turn;

	do {
		while (!world.runnable)
			wait_for_clock();
		set = world.runnable;
		if (!world.config.switch_mean)
			return oldest(set);
		r = sim_next(&world.random);
	} while (!(set & ~world.slow) && (r >> 14 & 1023) < world.config.starve_of_1024 &&
		 jump());
	if ((set & ~world.slow) && (r & 0x3f00))
		set &= ~world.slow;
	turn = r & 63;
	set = turn ? rotate(set, 64 - turn) : set;
	return &world.fiber[(__builtin_ctzll(set) + turn) & 63];
}

/* Lets another one run; the caller is parked, waits for a lock, is over, or not. */
static void reschedule(void)
{
	struct fiber *self = world.runs, *next = pick();

	if (next != self)
		switch_to(self, next);
}

void sim_end_starving(void)
{
	world.config.starve_of_1024 = 0;
}

static void plan(void)
{
	world.next_event = min(world.next_switch, world.cut_at);
	world.next_event = min(world.next_event, world.config.max_points);
}

static void plan_switch(void)
{
	u32 mean = world.config.switch_mean;

	world.next_switch = mean ? world.points + 1 +
				   sim_below(&world.random, 2 * mean) : U64_MAX;
}

static bool may_migrate(const struct task_struct *task)
{
	return !task->no_migrate && !task->preempt && !task->hardirq &&
	       !task->softirq && !task->irq_disabled;
}

/* A task that nothing keeps on its CPU may find itself on another one. */
static void migrate(struct task_struct *task)
{
	if (may_migrate(task))
		task->cpu = sim_below(&world.random, world.config.cpus);
}

void port_unpinned(void)
{
	struct task_struct *task = current;

	if (world.config.hops && may_migrate(task))
		task->cpu = (task->cpu + 1) % world.config.cpus;
}

static void __attribute__((__noinline__)) event(void)
{
	u64 r;

	if (world.points >= world.cut_at)
		sim_cut();
	if (world.points >= world.config.max_points) {
		world.next_event = U64_MAX;
		sim_print_tasks(log_line);
		sim_fail("no end after %llu points", world.points);
	}
	plan_switch();
	plan();
	r = sim_next(&world.random);
	if ((r & 1023) < world.config.jump_of_1024)
		jump();
	if ((r >> 10 & 63) == 0)
		world.slow = sim_next(&world.random) & sim_next(&world.random);
	if ((r >> 16 & 3) == 0)
		migrate(current);
	reschedule();
}

void sim_point(void)
{
	if (unlikely(++world.points >= world.next_event) && world.runs)
		event();
}

static void (*moment_fn)(void);

void sim_moment(void)
{
	if (moment_fn)
		moment_fn();
}

void sim_set_moment(void (*fn)(void))
{
	moment_fn = fn;
}

void sim_set_cut(u64 points)
{
	world.cut_at = points ? world.points + points : U64_MAX;
	plan();
}

/* Tasks */

static void start_fiber(void)
{
	struct fiber *self = world.runs;

#if WITH_ASAN
	const void *bottom;
	size_t bytes;

	__sanitizer_finish_switch_fiber(NULL, &bottom, &bytes);
	if (!main_stack) {
		main_stack = bottom;
		main_stack_bytes = bytes;
	}
#endif
	self->fn(self->arg);
	self->over = true;
	world.runnable &= ~BIT_ULL(index_of(self));
	if (index_of(self) == 0)
		leave(SIM_DONE);
	if (self->joiner)
		wake(self->joiner);
	reschedule();
	__builtin_trap();
}

static void prepare_stack(struct fiber *f)
{
	void **sp = (void **)(stack_of(f) + STACK_BYTES);

	ASAN_UNPOISON_MEMORY_REGION(stack_of(f), STACK_BYTES);
	*--sp = NULL;			/* in place of a return address: keeps the alignment */
	*--sp = start_fiber;
	for (int i = 0; i < 6; i++)
		*--sp = NULL;
	f->sp = sp;
}

void port_task_start(struct task_struct *task, void (*fn)(void *), void *arg)
{
	struct fiber *f;

	if (!~world.used)
		sim_fail("more than %d tasks", MAX_FIBERS);
	f = &world.fiber[__builtin_ctzll(~world.used)];
	*f = (struct fiber) { .task = task, .fn = fn, .arg = arg };
	task->port = f;
	world.used |= BIT_ULL(index_of(f));
	prepare_stack(f);
	wake(f);
	sim_point();
}

void port_task_join(struct task_struct *task)
{
	struct fiber *f = fiber_of(task), *self = world.runs;

	f->joiner = self;
	while (!f->over) {
		world.runnable &= ~BIT_ULL(index_of(self));
		reschedule();
	}
	world.used &= ~BIT_ULL(index_of(f));
}

void port_task_adopt(struct task_struct *task)
{
	main_task = task;
}

/* Sleeping */

void port_park(u64 deadline_ns)
{
	struct fiber *self = world.runs;

	sim_point();
	if (!self->permit) {
		self->parked = true;
		self->deadline = deadline_ns;
		world.runnable &= ~BIT_ULL(index_of(self));
		/* Now and then it comes back for nothing. */
		if (world.config.switch_mean && !(sim_next(&world.random) & 255))
			wake(self);
		reschedule();
		self->parked = false;
	}
	self->permit = false;
}

void port_unpark(struct task_struct *task)
{
	struct fiber *f = fiber_of(task);

	if (!f)
		return;
	f->permit = true;
	if (f->parked)
		wake(f);
	sim_point();
}

void port_yield(void)
{
	sim_point();
}

/* Locks: the word is 1 while it is held */

bool port_trylock(struct port_lock *lock)
{
	sim_point();
	if (lock->word)
		return false;
	lock->word = 1;
	return true;
}

void port_lock(struct port_lock *lock, bool spin)
{
	struct fiber *self = world.runs;

	sim_point();
	while (lock->word) {
		self->waits_for = lock;
		world.lock_waiters++;
		world.runnable &= ~BIT_ULL(index_of(self));
		reschedule();
		self->waits_for = NULL;
		world.lock_waiters--;
	}
	lock->word = 1;
}

static void wake_waiters(const struct port_lock *lock)
{
	u64 rest = world.used & ~world.runnable;

	for (; rest; rest &= rest - 1) {
		struct fiber *f = &world.fiber[__builtin_ctzll(rest)];

		if (f->waits_for == lock)
			wake(f);
	}
}

void port_unlock(struct port_lock *lock)
{
	lock->word = 0;
	if (world.lock_waiters)
		wake_waiters(lock);
	sim_point();
}

/* The clock, which stands still between two jumps but for what a point takes */

u64 port_now_ns(void)
{
	return world.now_ns + world.points * 16;
}

u64 port_real_ns(void)
{
	return 1700000000ULL * 1000000000ULL + port_now_ns();
}

void port_random(void *buf, size_t len)
{
	char *p = buf;

	while (len) {
		u64 v = sim_next(&world.random);
		size_t n = min(len, sizeof(v));

		memcpy(p, &v, n);
		p += n;
		len -= n;
	}
}

/*
 * Memory: blocks of sizes that are powers of two, or thrice such a one, each
 * behind a header.  What is freed is filled with a pattern and waits in a ring
 * before it may be used again.  When it is, and at the world's end, all of it has
 * to be as it was filled, so that who uses it still is found.  Of an object longer
 * than 1 KiB this is so for its first and last 512 bytes.
 */

#define ARENA_AT ((char *)0x200000000000ULL)
#define ARENA_BYTES (256UL << 20)
#define CLASSES 48
#define RING 128
#define FRESH_WORD 0xa5a5a5a5a5a5a5a5ULL
#define FREED_BYTE 0x6b
#define FREED_WORD 0x6b6b6b6b6b6b6b6bULL
#define FILL_BYTES 512
#define FRESH_BYTES 128		/* so much of a new object has a pattern */

struct block {
	struct block *next;		/* free, of its class */
	u64 pad;			/* from the block's start to this header */
	u32 magic;
	u32 class;
	u64 size;
};

#define IN_USE 0x55534544
#define IS_FREE 0x46524545

/* Four words at a time, wherever they lie. */
typedef u64 vector __attribute__((__vector_size__(32)));
typedef vector words __attribute__((__aligned__(1)));
#define WORDS_BYTES sizeof(words)

static struct {
	char *next;
	struct block *first_free[CLASSES];
	struct block *ring[RING];
	unsigned int ring_at;
} arena;

static size_t class_size(unsigned int class)
{
	return (class & 1 ? 48UL : 32UL) << (class / 2);
}

static unsigned int class_for(size_t size)
{
	unsigned int class = 0;

	if (size > 32)
		class = 2 * (63 - __builtin_clzll((size - 1) / 32));
	while (class_size(class) < size)
		class++;
	return class;
}

/* Few bytes, without a call. */
static inline void fill_few(char *p, u64 word, size_t bytes)
{
	const words filling = (vector) { } + word;
	char *end = p + bytes;

	if (bytes < WORDS_BYTES) {
		memset(p, word, bytes);
		return;
	}
	/* The last words may be stored twice. */
	for (; p < end - WORDS_BYTES; p += WORDS_BYTES)
		*(words *)p = filling;
	*(words *)(end - WORDS_BYTES) = filling;
}

/* Of a long block, where the pattern at its end begins. */
NO_ASAN static size_t tail_of(const struct block *b)
{
	return (b->size - FILL_BYTES) & ~7UL;
}

NO_ASAN static void fill_freed(struct block *b)
{
	char *p = (char *)(b + 1);

	if (b->size <= 2 * FILL_BYTES) {
		memset(p, FREED_BYTE, b->size);
	} else {
		memset(p, FREED_BYTE, FILL_BYTES);
		memset(p + tail_of(b), FREED_BYTE, b->size - tail_of(b));
	}
}

/* Past AddressSanitizer, whose own check this is not. */
NO_ASAN_VECTORS static bool all_freed(const words *p, size_t n)
{
	vector wrong = { }, more = { };

	for (; n >= 2; n -= 2, p += 2) {
		wrong |= p[0] ^ FREED_WORD;
		more |= p[1] ^ FREED_WORD;
	}
	if (n)
		wrong |= p[0] ^ FREED_WORD;
	wrong |= more;
	return !(wrong[0] | wrong[1] | wrong[2] | wrong[3]);
}

NO_ASAN static void check_bytes(const struct block *b, size_t from, size_t bytes)
{
	const unsigned char *p = (const unsigned char *)(b + 1) + from, *end = p + bytes;

	/* The last words may be looked at twice. */
	if (bytes >= WORDS_BYTES && all_freed((const void *)p, bytes / WORDS_BYTES) &&
	    all_freed((const void *)(end - WORDS_BYTES), 1))
		return;
	for (; p < end; p++)
		if (*p != FREED_BYTE)
			sim_fail("memory was written to after it was freed (%llu bytes, at byte %zu)",
				 b->size, p - (const unsigned char *)(b + 1));
}

NO_ASAN static void check_freed(const struct block *b)
{
	if (b->size <= 2 * FILL_BYTES) {
		check_bytes(b, 0, b->size);
	} else {
		check_bytes(b, 0, FILL_BYTES);
		check_bytes(b, tail_of(b), b->size - tail_of(b));
	}
	if (b->magic != IS_FREE)
		sim_fail("the header of freed memory is overwritten");
}

NO_ASAN static void check_all_freed(void)
{
	for (unsigned int i = 0; i < RING; i++)
		if (arena.ring[i])
			check_freed(arena.ring[i]);
	for (unsigned int i = 0; i < CLASSES; i++)
		for (const struct block *b = arena.first_free[i]; b; b = b->next)
			check_freed(b);
}

NO_ASAN static char *get_block(unsigned int class)
{
	struct block *b = arena.first_free[class];
	char *start = arena.next;

	if (b) {
		check_freed(b);
		arena.first_free[class] = b->next;
		return (char *)b - b->pad;
	}
	arena.next += class_size(class);
	if (arena.next > ARENA_AT + ARENA_BYTES)
		sim_fail("the arena is used up");
	ASAN_POISON_MEMORY_REGION(start, class_size(class));
	return start;
}

NO_ASAN static struct block *make_header(char *start, size_t size, size_t align,
					 unsigned int class)
{
	char *p = PTR_ALIGN(start + sizeof(struct block), align);
	struct block *b = (struct block *)p - 1;

	*b = (struct block) {
		.magic = IN_USE, .class = class, .pad = (char *)b - start, .size = size,
	};
	return b;
}

void *port_mem_get(size_t size, size_t align)
{
	unsigned int class;
	struct block *b;

	align = max_t(size_t, align, 16);
	class = class_for(size + align - 16 + sizeof(*b) + (WITH_ASAN ? 32 : 0));
	b = make_header(get_block(class), size, align, class);
	ASAN_UNPOISON_MEMORY_REGION(b + 1, size);
	fill_few((char *)(b + 1), FRESH_WORD, min_t(size_t, size, FRESH_BYTES));
	return b + 1;
}

NO_ASAN static struct block *header_of(const void *p)
{
	struct block *b = (struct block *)p - 1;

	if ((char *)p < ARENA_AT || (char *)p >= arena.next)
		sim_fail("memory is freed that was never allocated");
	if (b->magic == IS_FREE)
		sim_fail("memory is freed twice");
	if (b->magic != IN_USE)
		sim_fail("memory is freed that begins elsewhere, or its header is overwritten");
	return b;
}

NO_ASAN void port_mem_put(void *p)
{
	struct block *b, *old;

	if (!p)
		return;
	b = header_of(p);
	fill_freed(b);
	b->magic = IS_FREE;
	ASAN_POISON_MEMORY_REGION(p, b->size);
	old = arena.ring[arena.ring_at];
	arena.ring[arena.ring_at] = b;
	arena.ring_at = (arena.ring_at + 1) % RING;
	if (old) {
		old->next = arena.first_free[old->class];
		arena.first_free[old->class] = old;
	}
}

NO_ASAN size_t port_mem_size(const void *p)
{
	return header_of(p)->size;
}

bool port_alloc_fails(gfp_t gfp, size_t size)
{
	sim_point();
	return world.config.alloc_fail_of_1024 &&
	       sim_chance(&world.random, world.config.alloc_fail_of_1024);
}

void sim_set_alloc_failures(u32 of_1024)
{
	world.config.alloc_fail_of_1024 = of_1024;
}

/* Variables as they were at the program's start */

extern char __start_world_data[], __stop_world_data[];
extern char __start_world_bss[], __stop_world_bss[];
static char *saved_data, *saved_bss;

NO_ASAN static void copy_words(char *dst, const char *src, size_t bytes)
{
	for (size_t i = 0; i + 8 <= bytes; i += 8)
		*(volatile u64 *)(dst + i) = *(const u64 *)(src + i);
	for (size_t i = bytes & ~7UL; i < bytes; i++)
		*(volatile char *)(dst + i) = src[i];
}

static void reset_variables(void)
{
	copy_words(__start_world_data, saved_data,
		   __stop_world_data - __start_world_data);
	copy_words(__start_world_bss, saved_bss, __stop_world_bss - __start_world_bss);
}

static void reset_arena(void)
{
	ASAN_POISON_MEMORY_REGION(ARENA_AT, arena.next ? arena.next - ARENA_AT : 0);
	memset(&arena, 0, sizeof(arena));
	arena.next = ARENA_AT;
}

static char *map(void *at, size_t bytes)
{
	char *p = mmap(at, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		       (at ? MAP_FIXED_NOREPLACE : 0), -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

void sim_init(void)
{
	size_t data_bytes = __stop_world_data - __start_world_data;
	size_t bss_bytes = __stop_world_bss - __start_world_bss;

	map(ARENA_AT, ARENA_BYTES);
	stacks = map(NULL, MAX_FIBERS * (STACK_BYTES + PAGE_SIZE) + PAGE_SIZE);
	for (unsigned int i = 0; i <= MAX_FIBERS; i++)
		mprotect(stacks + i * (STACK_BYTES + PAGE_SIZE), PAGE_SIZE, PROT_NONE);
	saved_data = malloc(data_bytes);
	saved_bss = malloc(bss_bytes);
	copy_words(saved_data, __start_world_data, data_bytes);
	copy_words(saved_bss, __start_world_bss, bss_bytes);
}

/* The first task is no child of anybody. */
static struct task_struct first_task;

enum sim_end sim_run(const struct sim_config *config, void (*first)(void *),
		     void *arg)
{
	reset_variables();
	reset_arena();
	memset(&world, 0, offsetof(typeof(world), fiber));
	world.runnable = world.used = world.slow = 0;
	world.lock_waiters = 0;
	world.points = world.now_ns = 0;
	world.config = *config;
	if (!world.config.max_points)
		world.config.max_points = U64_MAX;
	sim_atomic_points = config->atomic_points;
	sim_seed(&world.random, config->seed);
	world.cut_at = config->cut_after ?: U64_MAX;
	plan_switch();
	plan();
	shim_set_cpus(config->cpus);
	memset(&first_task, 0, sizeof(first_task));
	first_task.id = 1000;
	strcpy(first_task.comm, "first");
	world.running = true;
	port_task_start(&first_task, first, arg);
	switch_to(NULL, &world.fiber[0]);
	return world.end;
}
