// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One operation many times in profiled(), where callgrind counts instructions; all
 * around it, it does not.
 */
#include <stdlib.h>
#include <string.h>

#include "native.h"

#define SPAN_BITS	13	/* 32 MiB */
#define ATTACH_BITS	18

static struct cache c;
static struct request r;
static u64 rnd = 7;
static u8 *buf;

static u64 draw(void)
{
	return random_below(&rnd, 1 << SPAN_BITS);
}

static void write_one(void)
{
	cache_do(&c, &r, REQ_OP_WRITE, draw(), buf, BLOCK);
}

static void read_one(void)
{
	cache_do(&c, &r, REQ_OP_READ, draw(), buf, BLOCK);
}

static void write_fua(void)
{
	cache_do(&c, &r, REQ_OP_WRITE | REQ_FUA, draw(), buf, BLOCK);
}

static void flush(void)
{
	cache_do(&c, &r, REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0);
}

static void write_and_flush(void)
{
	write_one();
	flush();
}

static void attach(void)
{
	cache_attach(&c, "8 " STILL);
}

static const struct op {
	const char *name;
	void (*fn)(void);
	bool crc;
} ops[] = {
	{ "write_4k", write_one, false },
	{ "write_4k_crc", write_one, true },
	{ "read_hit_4k", read_one, false },
	{ "read_hit_4k_crc", read_one, true },
	{ "fua_4k", write_fua, false },
	{ "flush", flush, false },
	{ "write_flush", write_and_flush, false },
	{ "attach", attach, false },
};

static const struct op *op_of(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(ops); i++)
		if (!strcmp(name, ops[i].name))
			return &ops[i];
	fail("there is no operation %s", name);
}

void profiled(void (*fn)(void), u32 times);

__attribute__((__noinline__)) void profiled(void (*fn)(void), u32 times)
{
	while (times--)
		fn();
}

void profile_op(const char *name, u32 times)
{
	const struct op *op = op_of(name);
	bool is_attach = op->fn == attach;

	buf = aligned_alloc(BLOCK, BLOCK);
	memset(buf, 1, BLOCK);
	/* What other threads do is not counted; with one CPU an attach does all itself. */
	if (is_attach)
		shim_set_cpus(1);
	cache_open(&c, 96, 1 << (is_attach ? ATTACH_BITS : SPAN_BITS), true);
	cache_format(&c, op->crc ? "10 data_crc true " STILL : "8 " STILL);
	if (is_attach) {
		tap_set_stores(STORES_NO_BLOCKS);
		cache_fill(&c, 0, times, ATTACH_BITS);
		cache_detach(&c);
	} else {
		cache_fill(&c, 0, 1 << SPAN_BITS, SPAN_BITS);
	}
	profiled(op->fn, is_attach ? 1 : times);
	cache_detach(&c);
	cache_close(&c);
	free(buf);
}
