// SPDX-License-Identifier: GPL-2.0-or-later
/* Does the back end of one thread, with its models, find the mistakes that it looks for? */
#define SHIM_ATOMIC_POINTS
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/dax.h>
#include <linux/kernel.h>
#include <linux/mempool.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <shim/host.h>
#include <shim/sim.h>

#include "pmem-model.h"

#define FAULTS "faults"

static char log_text[2000];

static void keep_log(void *data, int level, const char *text)
{
	strncat(log_text, text, sizeof(log_text) - strlen(log_text) - 1);
}

static void nothing_wrong(void)
{
	kfree(kmalloc(100, GFP_KERNEL));
}

/* So many that what was freed before is used again. */
static void use_memory(size_t bytes)
{
	for (int i = 0; i < 200; i++)
		kfree(kmalloc(bytes, GFP_KERNEL));
}

static void late_write(size_t bytes, size_t at, bool reuse)
{
	char *p = kmalloc(bytes, GFP_KERNEL);

	kfree(p);
	*(volatile char *)(p + at) = 1;
	if (reuse) {
		use_memory(bytes);
		sim_cut();
	}
}

static void late_write_to_small(void)
{
	late_write(40, 39, true);
}

static void late_write_to_page(void)
{
	late_write(4096, 3700, true);
}

static void late_write_to_long(void)
{
	late_write(60000, 59999, true);
}

/* Nobody gets that memory any more. */
static void late_write_at_end(void)
{
	late_write(1000, 500, false);
}

static void late_write_to_pool(void)
{
	mempool_t *pool = mempool_create_kmalloc_pool(1, 300);
	char *p;

	sim_set_alloc_failures(1024);
	p = mempool_alloc(pool, GFP_NOIO);
	mempool_free(p, pool);
	*(volatile char *)(p + 299) = 1;
	mempool_alloc(pool, GFP_NOIO);
}

/* What a machine check would kill: a load past the primitive that is safe against it. */
static void plain_load(void)
{
	const char *medium;

	dax_direct_access(pmem_model_bdev()->dax, 0, 1, DAX_ACCESS, (void **)&medium, NULL);
	*(const volatile char *)(medium + 100);
}

static void plain_store(void)
{
	char *medium;

	dax_direct_access(pmem_model_bdev()->dax, 0, 1, DAX_ACCESS, (void **)&medium, NULL);
	*(volatile char *)(medium + 100) = 1;
}

/* Stores a line that has a media error; gives how much of it cannot be read then. */
static size_t store_bad_line(bool heals)
{
	char line[128] __aligned(64) = "new", *medium;

	pmem_model_set_store_heals(heals);
	pmem_model_poison(128, 64);
	dax_direct_access(pmem_model_bdev()->dax, 0, 1, DAX_ACCESS, (void **)&medium, NULL);
	migrate_disable();
	memcpy_flushcache(medium + 128, line, 64);
	pmem_wmb();
	migrate_enable();
	return copy_mc_to_kernel(line, medium + 64, 128);
}

static void store_does_not_heal(void)
{
	if (store_bad_line(false) != 64)
		sim_fail("healed");
}

static void store_heals(void)
{
	if (store_bad_line(true))
		sim_fail("not healed");
}

/* As configured: what is atomic is a point, a plain marked load is none. */
static void atomics_are_points(void)
{
	atomic_t v = ATOMIC_INIT(1);
	unsigned long bits = 0;
	u64 before = sim_points();

	atomic_inc(&v);
	atomic_dec_and_test(&v);
	set_bit(3, &bits);
	smp_store_release(&bits, 0);
	if (sim_points() != before + 4)
		sim_fail("%llu points", sim_points() - before);
	READ_ONCE(bits);
	if (sim_points() != before + 4)
		sim_fail("a load is a point");
}

static const struct {
	const char *name;
	void (*fn)(void);
	const char *message;	/* NULL: none; FAULTS */
} cases[] = {
	{ "nothing wrong", nothing_wrong, NULL },
	{ "late write, small", late_write_to_small, "after it was freed (40 bytes, at byte 39)" },
	{ "late write, page", late_write_to_page, "after it was freed (4096 bytes, at byte 3700)" },
	{ "late write, long", late_write_to_long, "after it was freed (60000 bytes, at byte 59999)" },
	{ "late write, at the end", late_write_at_end, "after it was freed (1000 bytes, at byte 500)" },
	{ "late write, pool", late_write_to_pool, "element of a mempool was written to" },
	{ "plain load", plain_load, FAULTS },
	{ "plain store", plain_store, FAULTS },
	{ "store of a bad line", store_does_not_heal, NULL },
	{ "store that heals", store_heals, NULL },
	{ "atomics are points", atomics_are_points, NULL },
};

static void run_case(void *arg)
{
	void (*const *fn)(void) = arg;

	shim_set_log(keep_log, NULL);
	(*fn)();
}

static enum sim_end run(unsigned int nr)
{
	const struct sim_config config = {
		.seed = nr, .cpus = 2, .switch_mean = 5, .atomic_points = 1,
	};
	void (*fn)(void) = cases[nr].fn;

	log_text[0] = '\0';
	pmem_model_new(1 << 20);
	return sim_run(&config, run_case, &fn);
}

/* In a process of its own. */
static bool faults(unsigned int nr)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(run(nr));
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGSEGV;
}

static bool ends_as_expected(unsigned int nr)
{
	const char *message = cases[nr].message;
	enum sim_end end;

	if (message && strcmp(message, FAULTS) == 0)
		return faults(nr);
	end = run(nr);
	return message ? end == SIM_FAILED && strstr(log_text, message) : end == SIM_DONE;
}

int main(void)
{
	unsigned int failed = 0;

	sim_init();
	pmem_model_init();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (ends_as_expected(i))
			continue;
		printf("FAILED %s: \"%s\"\n", cases[i].name, log_text);
		failed++;
	}
	printf("selftest: %zu passed, %u failed\n", ARRAY_SIZE(cases) - failed, failed);
	return failed != 0;
}
