// SPDX-License-Identifier: GPL-2.0-or-later
/* Does the back end of one thread, with its models, find the mistakes that it looks for? */
#include <stdio.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/mempool.h>
#include <linux/slab.h>
#include <shim/host.h>
#include <shim/sim.h>

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
	late_write(4096, 2222, true);
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

static const struct {
	const char *name;
	void (*fn)(void);
	const char *message;	/* NULL: none */
} cases[] = {
	{ "nothing wrong", nothing_wrong, NULL },
	{ "late write, small", late_write_to_small, "after it was freed (40 bytes, at byte 39)" },
	{ "late write, page", late_write_to_page, "after it was freed (4096 bytes, at byte 2222)" },
	{ "late write, long", late_write_to_long, "after it was freed (60000 bytes, at byte 59999)" },
	{ "late write, at the end", late_write_at_end, "after it was freed (1000 bytes, at byte 500)" },
	{ "late write, pool", late_write_to_pool, "element of a mempool was written to" },
};

static void run_case(void *arg)
{
	void (*const *fn)(void) = arg;

	shim_set_log(keep_log, NULL);
	(*fn)();
}

int main(void)
{
	unsigned int failed = 0;

	sim_init();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct sim_config config = { .seed = i, .cpus = 2, .switch_mean = 5 };
		void (*fn)(void) = cases[i].fn;
		const char *message = cases[i].message;
		enum sim_end end;

		log_text[0] = '\0';
		end = sim_run(&config, run_case, &fn);
		if (message ? end == SIM_FAILED && strstr(log_text, message) : end == SIM_DONE)
			continue;
		printf("FAILED %s: ended with %d, \"%s\"\n", cases[i].name, end, log_text);
		failed++;
	}
	printf("selftest: %zu passed, %u failed\n", ARRAY_SIZE(cases) - failed, failed);
	return failed != 0;
}
