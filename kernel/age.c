// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When the ksets of the log were committed, as far as they may still be dirty.
 *
 * A mark says that the ksets from its own up to the next mark's were committed in
 * its second or later; so what is said of a kset is never too young. There is one
 * mark a second at most, and fewer the longer the dirty part of the log has grown;
 * when all marks are in use, every other one goes. They are in an array, and nothing
 * is allocated.
 *
 * Whoever calls locks.
 */
#include <linux/minmax.h>
#include <linux/string.h>

#include "pcache.h"

/* Seconds between two marks: a part of what the marks reach over. */
static time64_t step(const struct pcache_age *a, time64_t now)
{
	return max_t(time64_t, (now - a->mark[0].second) >> (PCACHE_AGE_SHIFT - 1), 1);
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
 * @now: in seconds
 */
void pcache_age_init(struct pcache_age *a, time64_t now)
{
	a->nr = 1;
	a->mark[0].ord = 0;
	a->mark[0].second = now;
}

/**
 * pcache_age_note() - A kset has been committed.
 * @a: where to
 * @ord: of that kset
 * @oldest: nobody asks for ksets before this one any more
 * @now: in seconds
 */
void pcache_age_note(struct pcache_age *a, u64 ord, u64 oldest, time64_t now)
{
	drop_passed(a, oldest);
	if (now - a->mark[a->nr - 1].second < step(a, now))
		return;
	if (a->nr == PCACHE_AGE_MARKS)
		drop_every_other(a);
	a->mark[a->nr].ord = ord;
	a->mark[a->nr].second = now;
	a->nr++;
}

/**
 * pcache_age_of() - How long ago was a kset committed?
 * @a: age
 * @ord: of the kset; not before what pcache_age_note() has been told
 * @now: in seconds
 *
 * Return: seconds, too many rather than too few.
 */
u64 pcache_age_of(const struct pcache_age *a, u64 ord, time64_t now)
{
	u32 i = a->nr - 1;

	while (i > 0 && a->mark[i].ord > ord)
		i--;
	return now - a->mark[i].second;
}
