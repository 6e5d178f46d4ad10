// SPDX-License-Identifier: GPL-2.0-or-later
/* The mixture of each seed, and its names on the command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/stddef.h>

#include "disk-model.h"
#include "params.h"
#include "pcache.h"
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

/*
 * Each value has random numbers of its own, from the seed and its name: a value that is
 * added or drawn in another way changes no other.
 */
static struct sim_random *stream(u64 seed, const char *name)
{
	static struct sim_random r;
	u64 hash = 0xcbf29ce484222325ULL;

	while (*name)
		hash = (hash ^ (u8)*name++) * 0x100000001b3ULL;
	sim_seed(&r, seed ^ hash);
	return &r;
}

static u32 one_of(struct sim_random *r, const u32 *values, u32 n)
{
	return values[sim_below(r, n)];
}

/* One of these values. */
#define DRAW(name, ...)							\
	p->name = one_of(stream(seed, #name), (const u32[]){ __VA_ARGS__ }, \
			 sizeof((u32[]){ __VA_ARGS__ }) / sizeof(u32))
/* One of so many seeds has it, and then up to @most. */
#define SELDOM(name, one_in, most) \
	p->name = seldom(stream(seed, #name), one_in, most)

static u32 seldom(struct sim_random *r, u32 one_in, u32 most)
{
	return sim_below(r, one_in) ? 0 : 1 + sim_below(r, most);
}

static void draw_load(struct sim_params *p, u64 seed)
{
	DRAW(submitters, 1, 2, 3, 4);
	DRAW(depth, 1, 1, 2, 3);
	DRAW(sectors, 32, 64, 128, 128, 256);
	DRAW(hot, 0, 0, 512, 900);
	DRAW(max_sectors, 1, 4, 8, 8, 24, 64);
	DRAW(align, 1, 1, 1, 8);
	DRAW(writes, 300, 512, 700, 900);
	SELDOM(fua, 3, 400);
	SELDOM(preflush, 6, 300);
	DRAW(flush, 0, 30, 100, 300);
	SELDOM(discards, 3, 400);
	SELDOM(zeroes, 6, 300);
	SELDOM(no_discard, 8, 1);
	SELDOM(scribble, 10, 500);
	SELDOM(rewrites, 6, 700);
	SELDOM(messages, 3, 800);
	SELDOM(drops, 6, 800);
	SELDOM(suspends, 8, 500);
	SELDOM(detaches, 8, 500);
	SELDOM(reloads, 8, 700);
	SELDOM(resizes, 8, 900);
	DRAW(grow, 0, 1, 2, 4);
	DRAW(pause_ops, 20, 40, 80);
}

static void draw_faults(struct sim_params *p, u64 seed)
{
	DRAW(latency_us, 0, 0, 100, 5000);
	SELDOM(read_errors, 16, 200);
	SELDOM(write_errors, 10, 200);
	SELDOM(flush_errors, 10, 300);
	SELDOM(gone, 16, 500);
	SELDOM(alloc_fail, 10, 200);
	SELDOM(poison, 16, 3);
	SELDOM(rot, 16, 3);
	DRAW(store_heals, 0, 1);
}

/* What independent draws would meet too seldom. */
static void apply_theme(struct sim_params *p)
{
	switch (p->theme) {
	case 1:	/* small caches that Linux's own has filled to the brim */
		p->mainline = 900;
		p->rounds = 3;
		p->segs = 8;
		p->sectors = 256;
		p->max_sectors = 4;
		p->poison = p->rot = 0;
		break;
	case 2:	/* many epochs, on a disk that now and then takes nothing */
		p->write_errors = 200;
		p->flush = 300;
		p->fast = 0;
		p->latency_us = 5000;
		p->max_sectors = 4;
		p->submitters = 1;
		p->depth = 1;
		break;
	}
}

/* A device that has grown matters to a format only, and most where that is cut short. */
static void draw_formats(struct sim_params *p, u64 seed)
{
	DRAW(force, 300, 800);
	DRAW(cut_early, 500, 900);
	DRAW(end_clean, 300, 800);
	DRAW(rounds, 2, 3, 4);
	p->poison = p->rot = 0;
}

/**
 * sim_params_draw() - What a seed is like.
 * @p: gets it
 * @seed: the seed
 */
void sim_params_draw(struct sim_params *p, u64 seed)
{
	memset(p, 0, sizeof(*p));
	DRAW(rounds, 1, 1, 1, 1, 2, 3);
	SELDOM(ops, 40, 600);
	/* 100 requests in a seed, at least. */
	p->ops += DIV_ROUND_UP(100, p->rounds);
	DRAW(variants, 1, 1, 1, 2, 3);
	DRAW(cpus, 1, 2, 3, 4);
	DRAW(hops, 0, 0, 1);
	DRAW(switch_mean, 0, 3, 10, 30, 100, 400);
	DRAW(jump, 0, 20, 200);
	DRAW(starve, 0, 0, 0, 0, 700, 1000);
	DRAW(atomics, 0, 0, 0, 1, 2);
	DRAW(segs, 8, 9, 10, 12, 16, 24, 8, 9, 10, 12, 16, 24, 8, 9, 10, 12, 16, 24, 96);
	DRAW(data_crc, 0, 0, 1);
	DRAW(fast, 0, 0, 1);
	DRAW(delay_ms, 0, 0, 0, 0, 1, 200, 5000, 60000);
	DRAW(dirty_low, 50, 50, 50, 0, 10, 100);
	DRAW(dirty_high, 80, 80, 80, 0, 5, 30, 100);
	DRAW(gc_percent, 70, 70, 0, 30, 90);
	DRAW(gc_kept, 0, 1);
	DRAW(clock, 0, 1, 1, 1);
	DRAW(copy, 0, 1, 2, 2);
	DRAW(cutoff_kb, 0, 0, 0, 1, 4);
	SELDOM(cut_early, 3, 500);
	SELDOM(end_clean, 3, 600);
	DRAW(pmem_cut, PMEM_CUTS, PMEM_CUTS, PMEM_CUT_WORDS, PMEM_CUT_NONE, PMEM_CUT_ALL);
	DRAW(disk_cut, DISK_CUTS, DISK_CUT_SOME, DISK_CUT_NONE, DISK_CUT_ALL);
	DRAW(block, 1, 1, 1, 1, 8);
	SELDOM(no_write_cache, 8, 1);
	SELDOM(force, 16, 300);
	SELDOM(mainline, 6, 500);
	draw_load(p, seed);
	draw_faults(p, seed);
	SELDOM(old, 12, 1);
	SELDOM(smaller, 24, 4);
	DRAW(mode, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3);
	SELDOM(modes, 8, 900);
	DRAW(theme, 0, 0, 0, 0, 0, 0, 1, 2);
	apply_theme(p);
	if (p->smaller)
		draw_formats(p, seed);
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
	p->smaller = min(p->smaller, p->segs - 8);
	/* Beyond the segments that it has otherwise. */
	p->grow = p->resizes ? min(p->grow, 100U - min(p->segs, 100U)) : 0;
	p->cpus = clamp(p->cpus, 1U, 8U);
	p->submitters = clamp(p->submitters, 1U, 4U);
	p->depth = clamp(p->depth, 1U, 4U);
	p->delay_ms = min_t(u32, p->delay_ms, PCACHE_WRITEBACK_DELAY_MAX_MS);
	p->dirty_low = min(p->dirty_low, 100U);
	p->dirty_high = min(p->dirty_high, 100U);
	p->rounds = max(p->rounds, 1U);
	p->variants = max(p->variants, 1U);
	/* Without CRCs nobody sees it; and it may keep a segment for ever, too. */
	if (!p->data_crc || p->segs < 8 + p->smaller + p->rot * p->rounds)
		p->rot = 0;
	/* What is formatted anew keeps nothing. */
	if (p->force || p->old || p->smaller)
		p->gc_kept = 0;
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
