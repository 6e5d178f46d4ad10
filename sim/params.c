// SPDX-License-Identifier: GPL-2.0-or-later
/* The mixture of each seed, and its names on the command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/stddef.h>

#include "disk-model.h"
#include "params.h"
#include "pmem-model.h"

static const struct {
	const char *name;
	size_t offset;
	u32 simple;
	const char *text;
} names[] = {
#define X(name, simple, text) { #name, offsetof(struct sim_params, name), simple, text },
	SIM_PARAMS(X)
#undef X
};

static u32 *value_at(struct sim_params *p, u32 i)
{
	return (u32 *)((char *)p + names[i].offset);
}

/* One of so many seeds has it, and then up to @most of 1024. */
static u32 seldom(struct sim_random *r, u32 one_in, u32 most)
{
	return sim_below(r, one_in) ? 0 : 1 + sim_below(r, most);
}

static u32 one_of(struct sim_random *r, const u32 *values, u32 n)
{
	return values[sim_below(r, n)];
}

#define ONE_OF(r, ...) \
	one_of(r, (const u32[]){ __VA_ARGS__ }, sizeof((u32[]){ __VA_ARGS__ }) / sizeof(u32))

static void draw_load(struct sim_params *p, struct sim_random *r)
{
	p->submitters = 1 + sim_below(r, 4);
	p->depth = ONE_OF(r, 1, 1, 2, 3);
	p->sectors = ONE_OF(r, 32, 64, 128, 128, 256);
	p->hot = ONE_OF(r, 0, 0, 512, 900);
	p->max_sectors = ONE_OF(r, 1, 4, 8, 8, 24, 64);
	p->align = ONE_OF(r, 1, 1, 1, 8);
	p->writes = ONE_OF(r, 300, 512, 700, 900);
	p->fua = seldom(r, 3, 400);
	p->preflush = seldom(r, 6, 300);
	p->flush = ONE_OF(r, 0, 30, 100, 300);
	p->scribble = seldom(r, 10, 500);
	p->messages = seldom(r, 3, 800);
	p->suspends = seldom(r, 8, 500);
	p->detaches = seldom(r, 8, 500);
	p->pause_ops = ONE_OF(r, 20, 40, 80);
}

static void draw_faults(struct sim_params *p, struct sim_random *r)
{
	p->latency_us = ONE_OF(r, 0, 0, 100, 5000);
	p->read_errors = seldom(r, 16, 200);
	p->write_errors = seldom(r, 10, 200);
	p->flush_errors = seldom(r, 10, 300);
	p->gone = seldom(r, 16, 500);
	p->alloc_fail = seldom(r, 10, 200);
	p->poison = sim_below(r, 16) ? 0 : 1 + sim_below(r, 3);
}

/**
 * sim_params_draw() - What a seed is like.
 * @p: gets it
 * @seed: the seed
 */
void sim_params_draw(struct sim_params *p, u64 seed)
{
	struct sim_random r;

	memset(p, 0, sizeof(*p));
	sim_seed(&r, seed ^ 0x706172616d73ULL);
	p->rounds = ONE_OF(&r, 1, 1, 1, 1, 2, 3);
	p->ops = sim_below(&r, 40) ? ONE_OF(&r, 100, 100, 100, 130) : 600;
	p->variants = ONE_OF(&r, 1, 1, 1, 2, 3);
	p->cpus = 1 + sim_below(&r, 4);
	p->switch_mean = ONE_OF(&r, 0, 3, 10, 30, 100, 400);
	p->jump = ONE_OF(&r, 0, 20, 200);
	p->segs = ONE_OF(&r, 8, 9, 10, 12, 16, 24);
	p->data_crc = sim_below(&r, 3) == 0;
	p->fast = sim_below(&r, 3) == 0;
	p->gc_percent = ONE_OF(&r, 70, 70, 0, 30, 90);
	p->cut_early = seldom(&r, 3, 500);
	p->end_clean = seldom(&r, 3, 600);
	p->pmem_cut = ONE_OF(&r, PMEM_CUTS, PMEM_CUTS, PMEM_CUT_WORDS, PMEM_CUT_NONE,
			     PMEM_CUT_ALL);
	p->disk_cut = ONE_OF(&r, DISK_CUTS, DISK_CUT_SOME, DISK_CUT_NONE, DISK_CUT_ALL);
	p->block = ONE_OF(&r, 1, 1, 1, 1, 8);
	p->no_write_cache = sim_below(&r, 8) == 0;
	p->force = seldom(&r, 16, 300);
	p->mainline = seldom(&r, 6, 500);
	draw_load(p, &r);
	draw_faults(p, &r);
	sim_params_fit(p);
}

/**
 * sim_params_fit() - Make values fit each other.
 * @p: what is changed
 */
void sim_params_fit(struct sim_params *p)
{
	p->block = p->block > 1 ? 8 : 1;
	p->align = p->align > 1 || p->block > 1 ? 8 : 1;
	p->sectors = clamp(ALIGN(p->sectors, 16), 16U, (u32)DISK_MAX_SECTORS);
	p->max_sectors = clamp(p->max_sectors, p->align, p->sectors / 2);
	p->segs = max(p->segs, 8U);
	p->cpus = clamp(p->cpus, 1U, 8U);
	p->submitters = clamp(p->submitters, 1U, 4U);
	p->depth = clamp(p->depth, 1U, 4U);
	p->rounds = max(p->rounds, 1U);
	p->variants = max(p->variants, 1U);
}

/**
 * sim_params_set() - Change one value.
 * @p: what is changed
 * @text: "name=value"
 *
 * Return: false when there is no such name, or no number.
 */
bool sim_params_set(struct sim_params *p, const char *text)
{
	const char *equals = strchr(text, '=');
	char *end;

	for (u32 i = 0; equals && i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i].name) != equals - text ||
		    strncmp(names[i].name, text, equals - text))
			continue;
		*value_at(p, i) = strtoul(equals + 1, &end, 0);
		return equals[1] && !*end;
	}
	return false;
}

void sim_params_print(const struct sim_params *p)
{
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		printf("%-15s %6u   %s\n", names[i].name, *value_at((struct sim_params *)p, i),
		       names[i].text);
}

u32 sim_params_count(void)
{
	return ARRAY_SIZE(names);
}

u32 *sim_params_at(struct sim_params *p, u32 i, const char **name, u32 *simple)
{
	*name = names[i].name;
	*simple = names[i].simple;
	return value_at(p, i);
}
