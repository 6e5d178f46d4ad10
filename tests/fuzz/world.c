// SPDX-License-Identifier: GPL-2.0-or-later
/* One life of the engine: made, watched, and judged at its end. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/module.h>
#include <shim/host.h>

#include "disk-model.h"
#include "pmem-model.h"
#include "world.h"

static struct {
	void (*fn)(void *arg);
	void *arg;
	u32 lines;		/* of the log, so far */
	bool bad_data;
	char error[1000];
	char log[8192];
	size_t log_bytes;
} now;

const char *fuzz_error(void)
{
	return now.error;
}

const char *fuzz_log(void)
{
	return now.log;
}

u32 fuzz_log_lines(void)
{
	return now.lines;
}

bool fuzz_bad_data(void)
{
	return now.bad_data;
}

void fuzz_give_up(void)
{
	fprintf(stderr, "FINDING: %s\n%s", now.error, now.log);
	abort();
}

void fuzz_wrong(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(now.error, sizeof(now.error), fmt, args);
	va_end(args);
	fuzz_give_up();
}

static void log_line(void *data, int level, const char *text)
{
	size_t n = strlen(text);

	now.lines++;
	now.bad_data |= strstr(text, "CRC error") || strstr(text, "media error");
	if (level == 0 && !now.error[0])
		snprintf(now.error, sizeof(now.error), "%s", text);
	if (now.log_bytes + n + 1 > sizeof(now.log)) {
		now.log_bytes = 0;
		now.log[0] = '\0';
	}
	if (n + 1 <= sizeof(now.log)) {
		memcpy(now.log + now.log_bytes, text, n + 1);
		now.log_bytes += n;
	}
}

static void check_nothing_left(void)
{
	if (shim_allocations())
		sim_fail("%ld objects are left in memory", shim_allocations());
	if (shim_scheduled())
		sim_fail("%u timers or works are left", shim_scheduled());
}

static void first_task(void *arg)
{
	struct block_device *pmem = pmem_model_bdev(), *disk = disk_model_bdev();

	shim_set_log(log_line, NULL);
	if (shim_module_init())
		sim_fail("the module cannot be loaded");
	disk_model_start();
	dm_host_add_bdev(pmem);
	dm_host_add_bdev(disk);
	now.fn(now.arg);
	sim_set_alloc_failures(0);
	dm_host_remove_bdev(pmem);
	dm_host_remove_bdev(disk);
	disk_model_stop();
	shim_module_exit();
	shim_stop();
	check_nothing_left();
}

void fuzz_init(void)
{
	sim_init();
	pmem_model_init();
}

bool fuzz_world(const struct sim_config *config, void (*fn)(void *arg), void *arg,
		enum sim_end *end)
{
	memset(&now, 0, offsetof(typeof(now), log));
	now.log[0] = '\0';
	now.log_bytes = 0;
	now.fn = fn;
	now.arg = arg;
	*end = sim_run(config, first_task, NULL);
	if (*end == SIM_FAILED && !now.error[0])
		snprintf(now.error, sizeof(now.error), "a rule of the kernel is broken");
	if (*end != SIM_FAILED && shim_warnings())
		snprintf(now.error, sizeof(now.error), "%u warnings", shim_warnings());
	return !now.error[0];
}

struct mapped_device *fuzz_attach(const char *table, bool read_only, char *error)
{
	struct mapped_device *md = dm_host_create("cache");
	u32 lines = now.lines;
	int r;

	error[0] = '\0';
	r = dm_host_load(md, table, read_only, error, FUZZ_ERROR);
	if (r && !error[0])
		sim_fail("a table is refused without a message: %d", r);
	if (!r) {
		r = dm_host_resume(md);
		if (r && lines == now.lines)
			sim_fail("the device is not resumed, without a message: %d", r);
	}
	if (!r)
		return md;
	if (dm_host_remove(md))
		sim_fail("what was not resumed cannot be removed");
	return NULL;
}

void fuzz_detach(struct mapped_device *md)
{
	int r = dm_host_suspend(md, false);

	if (r)
		sim_fail("suspend: %d", r);
	if (dm_host_remove(md))
		sim_fail("the device cannot be removed");
}

int fuzz_read(struct mapped_device *md, u64 sector, void *buf, u32 sectors)
{
	return dm_host_rw(dm_host_bdev(md), REQ_OP_READ, sector, buf, sectors);
}

void fuzz_status(struct mapped_device *md, status_type_t type, char *buf, size_t bytes)
{
	int r = dm_host_status(md, type, 0, buf, bytes);

	if (r)
		sim_fail("status: %d", r);
}
