// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When the ksets of the log were committed, as far as they may still be dirty.
 *
 * A mark says that the ksets from its own up to the next mark's were committed at
 * its time or later; so what is said of a kset is never too young. There is one
 * mark a tick at most, and fewer the longer the dirty part of the log has grown;
 * when all marks are in use, every other one goes. They are in an array, and nothing
 * is allocated.
 *
 * Whoever calls locks. Times are in ticks of any length, and may wrap.
 */
#include <linux/minmax.h>
#include <linux/string.h>

#include "pcache.h"

/* Time between two marks: a part of what the marks reach over. */
static u64 step(const struct pcache_age *a, u64 now)
{
	return max_t(u64, (now - a->mark[0].time) >> (PCACHE_AGE_SHIFT - 1), 1);
}

/* Drops marks that no kset from @oldest on needs. */
static void drop_passed(struct pcache_age *a, u64 oldest)
{
	u32 n = 0;

	while (n + 1 < a->nr && a->mark[n + 1].ord <= oldest)
		n++;
	if (!n)
		return;
	a->nr -= n;
	memmove(a->mark, a->mark + n, a->nr * sizeof(a->mark[0]));
}

static void drop_every_other(struct pcache_age *a)
{
	u32 i;

	a->nr /= 2;
	for (i = 1; i < a->nr; i++)
		a->mark[i] = a->mark[2 * i];
}

/**
 * pcache_age_init() - What is in the log counts from now on.
 * @a: to be filled
 * @now: the time
 */
void pcache_age_init(struct pcache_age *a, u64 now)
{
	a->nr = 1;
	a->mark[0].ord = 0;
	a->mark[0].time = now;
}

/**
 * pcache_age_note() - A kset has been committed.
 * @a: where to
 * @ord: of that kset
 * @oldest: nobody asks for ksets before this one any more
 * @now: the time
 */
void pcache_age_note(struct pcache_age *a, u64 ord, u64 oldest, u64 now)
{
	drop_passed(a, oldest);
	if (now - a->mark[a->nr - 1].time < step(a, now))
		return;
	if (a->nr == PCACHE_AGE_MARKS)
		drop_every_other(a);
	a->mark[a->nr].ord = ord;
	a->mark[a->nr].time = now;
	a->nr++;
}

/**
 * pcache_age_of() - How long ago was a kset committed?
 * @a: age
 * @ord: of the kset; not before what pcache_age_note() has been told
 * @now: the time
 *
 * Return: too long rather than too short.
 */
u64 pcache_age_of(const struct pcache_age *a, u64 ord, u64 now)
{
	u32 i = a->nr - 1;

	while (i > 0 && a->mark[i].ord > ord)
		i--;
	return now - a->mark[i].time;
}

/**
 * pcache_age_young() - Which ksets have not been there for so long?
 * @a: age
 * @span: how long
 * @now: the time
 * @left: gets how long the first of them still has
 *
 * Return: ord of the first one; U64_MAX: all that pcache_age_note() has been told of
 * have been there for so long.
 */
u64 pcache_age_young(const struct pcache_age *a, u64 span, u64 now, u64 *left)
{
	u32 i;

	for (i = 0; i < a->nr; i++) {
		u64 age = now - a->mark[i].time;

		if (age >= span)
			continue;
		*left = span - age;
		return a->mark[i].ord;
	}
	return U64_MAX;
}
