// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Models of eviction policies, which cache single units wherever there is room:
 *
 *	lru	what was not used for the longest time goes
 *	fifo	what was stored first goes
 *	clock	so it does, but what was read since its last turn gets another one
 *	sieve	a hand goes from the oldest to the newest, over and over; what was used
 *		since it came by stays where it is, and what was not goes
 *	s3fifo	what is new is in a small queue, a tenth of the cache; who was used there
 *		twice moves to the main one, and so does what comes back soon after it
 *		had left; in the main one it stays for each of up to three uses
 *
 * What is written is new for fifo and clock, as it is for a log; for the others it is used.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

#include "policy-models.h"

const char *const set_model_names[] = { "lru", "fifo", "clock", "sieve", "s3fifo", NULL };

#define NONE	U32_MAX

enum place { ABSENT, MAIN, SMALL, GHOST };

struct node {
	u32 newer;
	u32 older;
	u8 place;
	u8 uses;
};

struct queue {
	u32 newest;
	u32 oldest;
	u32 nr;
};

struct set_model {
	struct model m;
	u32 capacity;
	u32 hand;		/* sieve's; NONE: at the oldest */
	struct node *node;	/* by unit */
	struct queue queue[GHOST + 1];
};

static struct set_model *set_of(struct model *m)
{
	return container_of(m, struct set_model, m);
}

static void push(struct set_model *s, enum place place, u32 unit)
{
	struct queue *q = &s->queue[place];
	struct node *n = &s->node[unit];

	n->place = place;
	n->newer = NONE;
	n->older = q->newest;
	if (q->nr++)
		s->node[q->newest].newer = unit;
	else
		q->oldest = unit;
	q->newest = unit;
}

static void pull(struct set_model *s, u32 unit)
{
	struct node *n = &s->node[unit];
	struct queue *q = &s->queue[n->place];

	if (s->hand == unit)
		s->hand = n->newer;
	if (n->newer != NONE)
		s->node[n->newer].older = n->older;
	else
		q->newest = n->older;
	if (n->older != NONE)
		s->node[n->older].newer = n->newer;
	else
		q->oldest = n->newer;
	q->nr--;
	n->place = ABSENT;
}

static void move(struct set_model *s, enum place to, u32 unit)
{
	pull(s, unit);
	push(s, to, unit);
}

static bool is_cached(const struct set_model *s, u32 unit)
{
	return s->node[unit].place == MAIN || s->node[unit].place == SMALL;
}

static void use(struct set_model *s, u32 unit)
{
	s->node[unit].uses = min(s->node[unit].uses + 1, 3);
}

static bool touch(struct model *m, u32 unit)
{
	struct set_model *s = set_of(m);

	if (!is_cached(s, unit))
		return false;
	use(s, unit);
	return true;
}

static bool lru_touch(struct model *m, u32 unit)
{
	struct set_model *s = set_of(m);

	if (!is_cached(s, unit))
		return false;
	move(s, MAIN, unit);
	return true;
}

/* Makes room: */

static void oldest_goes(struct set_model *s)
{
	pull(s, s->queue[MAIN].oldest);
}

static void clock_turns(struct set_model *s)
{
	u32 unit = s->queue[MAIN].oldest;

	for (; s->node[unit].uses; unit = s->queue[MAIN].oldest) {
		s->node[unit].uses = 0;
		move(s, MAIN, unit);
	}
	pull(s, unit);
}

static void sieve_hand_moves(struct set_model *s)
{
	u32 unit = s->hand == NONE ? s->queue[MAIN].oldest : s->hand;

	while (s->node[unit].uses) {
		s->node[unit].uses = 0;
		unit = s->node[unit].newer;
		if (unit == NONE)
			unit = s->queue[MAIN].oldest;
	}
	s->hand = unit;
	pull(s, unit);
}

static u32 small_capacity(const struct set_model *s)
{
	return max(s->capacity / 10, 1U);
}

/* True: one of the small queue has gone. */
static bool s3_small_goes(struct set_model *s)
{
	u32 unit = s->queue[SMALL].oldest;

	if (s->node[unit].uses > 1) {
		s->node[unit].uses = 0;
		move(s, MAIN, unit);
		return false;
	}
	move(s, GHOST, unit);
	if (s->queue[GHOST].nr > s->capacity - small_capacity(s))
		pull(s, s->queue[GHOST].oldest);
	return true;
}

static bool s3_main_goes(struct set_model *s)
{
	u32 unit = s->queue[MAIN].oldest;

	if (s->node[unit].uses) {
		s->node[unit].uses--;
		move(s, MAIN, unit);
		return false;
	}
	pull(s, unit);
	return true;
}

static void s3_one_goes(struct set_model *s)
{
	bool gone = false;

	while (!gone)
		gone = s->queue[SMALL].nr >= small_capacity(s) || !s->queue[MAIN].nr ?
		       s3_small_goes(s) : s3_main_goes(s);
}

/* Storing one unit: */

static bool is_full(const struct set_model *s)
{
	return s->queue[MAIN].nr + s->queue[SMALL].nr >= s->capacity;
}

/* What is stored anew is the newest. */
static void store(struct set_model *s, u32 unit, void (*make_room)(struct set_model *s))
{
	if (is_cached(s, unit))
		pull(s, unit);
	else if (is_full(s))
		make_room(s);
	s->node[unit].uses = 0;
	push(s, MAIN, unit);
}

static void store_lru(struct set_model *s, u32 unit)
{
	store(s, unit, oldest_goes);
}

static void store_clock(struct set_model *s, u32 unit)
{
	store(s, unit, clock_turns);
}

static void store_sieve(struct set_model *s, u32 unit)
{
	if (is_cached(s, unit))
		use(s, unit);
	else
		store(s, unit, sieve_hand_moves);
}

static void store_s3(struct set_model *s, u32 unit)
{
	enum place to;

	if (is_cached(s, unit)) {
		use(s, unit);
		return;
	}
	to = s->node[unit].place == GHOST ? MAIN : SMALL;
	if (to == MAIN)
		pull(s, unit);
	if (is_full(s))
		s3_one_goes(s);
	s->node[unit].uses = 0;
	push(s, to, unit);
}

static void insert(struct model *m, u32 first, u32 n, bool fill,
		   void (*store_one)(struct set_model *s, u32 unit))
{
	m->fills += fill;
	m->stored += n;
	while (n--)
		store_one(set_of(m), first++);
}

#define INSERT(name)							\
static void insert_##name(struct model *m, u32 first, u32 n, bool fill)	\
{									\
	insert(m, first, n, fill, store_##name);			\
}
INSERT(lru)
INSERT(clock)
INSERT(sieve)
INSERT(s3)

static bool fifo_touch(struct model *m, u32 unit)
{
	return is_cached(set_of(m), unit);
}

static void set_free(struct model *m)
{
	free(set_of(m)->node);
	free(set_of(m));
}

static const struct model_ops set_models[] = {
	{ "lru", lru_touch, insert_lru, set_free },
	{ "fifo", fifo_touch, insert_lru, set_free },
	{ "clock", touch, insert_clock, set_free },
	{ "sieve", touch, insert_sieve, set_free },
	{ "s3fifo", touch, insert_s3, set_free },
};

/**
 * set_model_new() - Make a model of single units.
 * @name: of the policy
 * @units: are below this
 * @capacity: so many are cached
 *
 * Return: it, or NULL: there is no such policy.
 */
struct model *set_model_new(const char *name, u32 units, u32 capacity)
{
	for (u32 i = 0; i < sizeof(set_models) / sizeof(set_models[0]); i++) {
		struct set_model *s;

		if (strcmp(name, set_models[i].name))
			continue;
		s = calloc(1, sizeof(*s));
		s->m.ops = &set_models[i];
		s->capacity = max(capacity, 2U);
		s->hand = NONE;
		s->node = calloc(units, sizeof(*s->node));
		for (u32 q = 0; q <= GHOST; q++)
			s->queue[q] = (struct queue) { NONE, NONE, 0 };
		return &s->m;
	}
	return NULL;
}

/**
 * model_free() - Free a model of any kind.
 * @m: it
 */
void model_free(struct model *m)
{
	m->ops->free(m);
}

/* Sequential streams: of some that were read last, where each would go on */

#define STREAMS	64

struct streams {
	struct {
		u64 next;
		u64 sectors;
		u64 seen;
	} of[STREAMS];
	u64 nr;
};

/* How long the stream is that a read goes on with, this read not counted. */
static u64 stream_before(struct streams *s, const struct trace_request *rq)
{
	u32 at = 0;
	u64 before;

	for (u32 i = 0; i < STREAMS; i++) {
		if (s->of[i].sectors && s->of[i].next == rq->sector) {
			at = i;
			break;
		}
		if (s->of[i].seen < s->of[at].seen)
			at = i;
	}
	before = s->of[at].sectors && s->of[at].next == rq->sector ? s->of[at].sectors : 0;
	s->of[at].next = rq->sector + rq->sectors;
	s->of[at].sectors = before + rq->sectors;
	s->of[at].seen = ++s->nr;
	return before;
}

/* Playing a trace */

static u32 common_sectors(const struct trace_request *rq, u64 unit, u32 unit_sectors)
{
	u64 from = max(rq->sector, unit * unit_sectors);
	u64 to = min(rq->sector + rq->sectors, (unit + 1) * unit_sectors);

	return to - from;
}

/* What is missed is filled after all of the request has been looked up. */
static u64 play_read(struct model *m, const struct trace_request *rq, u32 unit_sectors, bool fill)
{
	u64 first = rq->sector / unit_sectors, last = (rq->sector + rq->sectors - 1) / unit_sectors;
	bool hit[TRACE_MAX_SECTORS + 2];
	u64 missed = 0, begin;

	for (u64 u = first; u <= last; u++) {
		hit[u - first] = m->ops->touch(m, u);
		if (!hit[u - first])
			missed += common_sectors(rq, u, unit_sectors);
	}
	hit[last + 1 - first] = true;
	for (u64 u = begin = first; fill && u <= last + 1; u++) {
		if (!hit[u - first])
			continue;
		if (u > begin)
			m->ops->insert(m, begin, u - begin, true);
		begin = u + 1;
	}
	return missed << 9;
}

static void play_write(struct model *m, const struct trace_request *rq, u32 unit_sectors)
{
	u64 first = rq->sector / unit_sectors, last = (rq->sector + rq->sectors - 1) / unit_sectors;

	m->ops->insert(m, first, last - first + 1, false);
}

/**
 * model_run() - Play a trace.
 * @m: to this model
 * @t: trace
 * @how: how
 * @figures: what is counted
 */
void model_run(struct model *m, const struct trace *t, const struct playing *how,
	       struct miss_figures *figures)
{
	struct streams streams = { };
	u64 stored = 0, fills = 0;

	memset(figures, 0, sizeof(*figures));
	for (u32 i = 0; i < t->nr; i++) {
		const struct trace_request *rq = &t->request[i];
		bool counts = i >= how->from, fill;
		u64 missed;

		if (i == how->from) {
			stored = m->stored;
			fills = m->fills;
		}
		if (rq->op == TRACE_READ) {
			fill = stream_before(&streams, rq) + rq->sectors <= how->cutoff_sectors ||
			       !how->cutoff_sectors;
			missed = play_read(m, rq, how->unit_sectors, fill);
			figures->read_bytes += counts ? (u64)rq->sectors << 9 : 0;
			figures->missed_bytes += counts ? missed : 0;
		} else if (rq->op == TRACE_WRITE) {
			play_write(m, rq, how->unit_sectors);
			figures->written_bytes += counts ? (u64)rq->sectors << 9 : 0;
		}
	}
	figures->stored_bytes = (m->stored - stored) * how->unit_sectors << 9;
	figures->fills = m->fills - fills;
}
