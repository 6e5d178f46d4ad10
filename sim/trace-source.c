// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Block traces. A file has one request in a line, in one of two formats:
 *
 *	r SECTOR SECTORS		a read; w: a write; f alone: a FLUSH
 *	VERSION,TIME,OP,BYTES,SECTOR	as the CloudPhysics traces are published: OP is a
 *					SCSI command in hexadecimal, 28 a read, 2a a write
 *
 * Empty lines, those that begin with # and the heading of the second format are no
 * requests. What ends in .zst is unpacked by zstd(1). A disk with partitions may have
 * nearly every request at the same distance from a multiple of 4 KiB: all of a file are
 * shifted by what makes most of them aligned.
 *
 * What is generated, of reads and writes of 4 KiB unless something else is said:
 *
 *	zipf	blocks drawn by a Zipf distribution, in random places
 *	scan	a hot set, 6 % of the blocks, drawn by Zipf; meanwhile reads of 64 KiB go
 *		through all the rest again and again, as many requests as one in five
 *	loop	reads of 16 KiB, again and again through 1.1 times the size of the cache
 *	shift	nine of ten go to a hot set of 3 % of the blocks, which is elsewhere after
 *		each twentieth of the requests; the rest go anywhere
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/kernel.h>

#include "trace-source.h"

const char *const trace_names[] = { "zipf", "scan", "loop", "shift", NULL };

bool trace_is_generated(const char *name)
{
	for (u32 i = 0; trace_names[i]; i++)
		if (!strcmp(name, trace_names[i]))
			return true;
	return false;
}

bool trace_fits_cache(const char *name)
{
	return !strcmp(name, "loop");
}

void trace_free(struct trace *t)
{
	free(t->request);
	t->request = NULL;
}

static void add(struct trace *t, enum trace_op op, u64 sector, u32 sectors)
{
	t->request[t->nr++] = (struct trace_request) { sector, sectors, op };
	t->end = max(t->end, sector + sectors);
}

/*
 * Random numbers; the simulator's own belong to its back end, which who only wants a
 * trace has not got.
 */

static u64 next(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static u64 below(u64 *state, u64 n)
{
	return ((unsigned __int128)next(state) * n) >> 64;
}

/* Zipf: rank r, from 1, with a weight of 1 / r^theta */

struct zipf {
	u32 n;
	double *upto;		/* sum of the weights */
	u32 *place;		/* of each rank */
};

static void zipf_make(struct zipf *z, u64 *state, u32 n, double theta)
{
	double sum = 0;

	z->n = n;
	z->upto = malloc(n * sizeof(*z->upto));
	z->place = malloc(n * sizeof(*z->place));
	for (u32 i = 0; i < n; i++) {
		u32 j = below(state, i + 1);

		sum += pow(i + 1, -theta);
		z->upto[i] = sum;
		z->place[i] = z->place[j];
		z->place[j] = i;
	}
}

static void zipf_free(struct zipf *z)
{
	free(z->upto);
	free(z->place);
}

static u32 zipf_draw(const struct zipf *z, u64 *state)
{
	double x = (next(state) >> 11) * 0x1p-53 * z->upto[z->n - 1];
	u32 lo = 0, hi = z->n - 1;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (z->upto[mid] > x)
			hi = mid;
		else
			lo = mid + 1;
	}
	return z->place[lo];
}

/* Generators */

struct making {
	const struct trace_spec *spec;
	struct trace *t;
	u64 random;
};

static void add_blocks(struct making *m, enum trace_op op, u32 block, u32 blocks)
{
	add(m->t, op, (u64)block * TRACE_BLOCK_SECTORS, blocks * TRACE_BLOCK_SECTORS);
}

static void add_random(struct making *m, u32 block)
{
	bool write = below(&m->random, 100) < m->spec->write_percent;

	add_blocks(m, write ? TRACE_WRITE : TRACE_READ, block, 1);
}

static void make_zipf(struct making *m)
{
	struct zipf z;

	zipf_make(&z, &m->random, m->spec->blocks, m->spec->theta);
	while (m->t->nr < m->spec->requests)
		add_random(m, zipf_draw(&z, &m->random));
	zipf_free(&z);
}

static void make_scan(struct making *m)
{
	u32 hot = m->spec->blocks * 6ULL / 100 + 1, at = hot, n = 16;
	struct zipf z;

	zipf_make(&z, &m->random, hot, m->spec->theta);
	while (m->t->nr < m->spec->requests) {
		if (below(&m->random, 5)) {
			add_random(m, zipf_draw(&z, &m->random));
			continue;
		}
		if (at + n > m->spec->blocks)
			at = hot;
		add_blocks(m, TRACE_READ, at, n);
		at += n;
	}
	zipf_free(&z);
}

static void make_loop(struct making *m)
{
	u32 n = 4, steps = m->spec->cache_blocks * 11ULL / 10 / n + 1;

	while (m->t->nr < m->spec->requests)
		add_blocks(m, TRACE_READ, m->t->nr % steps * n, n);
}

static void make_shift(struct making *m)
{
	u32 blocks = m->spec->blocks, hot = blocks * 3ULL / 100 + 1;
	u32 period = m->spec->requests / 20 + 1, at = 0;

	while (m->t->nr < m->spec->requests) {
		if (m->t->nr % period == 0)
			at = below(&m->random, blocks);
		if (below(&m->random, 10))
			add_random(m, (at + below(&m->random, hot)) % blocks);
		else
			add_random(m, below(&m->random, blocks));
	}
}

static void generate(const struct trace_spec *spec, struct trace *t)
{
	struct making m = { .spec = spec, .t = t, .random = spec->seed };
	static void (*const makers[])(struct making *m) = {
		make_zipf, make_scan, make_loop, make_shift,
	};

	t->generated = true;
	t->request = malloc(max(spec->requests, 1U) * sizeof(*t->request));
	for (u32 i = 0; trace_names[i]; i++)
		if (!strcmp(spec->name, trace_names[i]))
			makers[i](&m);
}

/* Files */

/* 1: a request; 0: a line without; -1: neither */
static int parse_line(const char *line, struct trace_request *rq)
{
	unsigned long long sector, bytes;
	unsigned int sectors, op;
	char letter;

	if (strchr("#\n", line[0]) || !strncmp(line, "version,", 8))
		return 0;
	if (sscanf(line, "%*u,%*u,%x,%llu,%llu", &op, &bytes, &sector) == 3) {
		if ((op != 0x28 && op != 0x2a) || bytes % 512 || !bytes ||
		    bytes > TRACE_MAX_SECTORS * 512ULL)
			return -1;
		*rq = (struct trace_request) {
			sector, bytes / 512, op == 0x28 ? TRACE_READ : TRACE_WRITE,
		};
	} else if (sscanf(line, "%c %llu %u", &letter, &sector, &sectors) == 3) {
		if (!strchr("rw", letter) || !sectors || sectors > TRACE_MAX_SECTORS)
			return -1;
		*rq = (struct trace_request) {
			sector, sectors, letter == 'r' ? TRACE_READ : TRACE_WRITE,
		};
	} else {
		*rq = (struct trace_request) { 0, 0, TRACE_FLUSH };
		return strcmp(line, "f\n") ? -1 : 1;
	}
	return rq->sector < TRACE_MAX_END ? 1 : -1;
}

/* Opens a file; @child is who unpacks it, or 0. */
static FILE *open_file(const char *name, pid_t *child)
{
	size_t n = strlen(name);
	int fds[2];

	*child = 0;
	if (n < 4 || strcmp(name + n - 4, ".zst"))
		return fopen(name, "r");
	if (access(name, R_OK) || pipe(fds))
		return NULL;
	*child = fork();
	if (!*child) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execlp("zstd", "zstd", "-dcq", "--", name, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	return fdopen(fds[0], "r");
}

static const char *read_requests(FILE *f, u32 most, struct trace *t)
{
	static char error[60];
	u32 room = 0, nr = 0;
	char line[200];

	while (t->nr < most && fgets(line, sizeof(line), f)) {
		struct trace_request rq;
		int got = parse_line(line, &rq);

		nr++;
		if (got < 0) {
			snprintf(error, sizeof(error), "line %u is no request", nr);
			return error;
		}
		if (!got)
			continue;
		if (t->nr == room) {
			room = room * 2 + 1024;
			t->request = realloc(t->request, room * sizeof(*t->request));
		}
		add(t, rq.op, rq.sector, rq.sectors);
	}
	return t->nr ? NULL : "there are no requests in it";
}

static void align(struct trace *t)
{
	u32 aligned[TRACE_BLOCK_SECTORS] = { }, best = 0;

	for (u32 i = 0; i < t->nr; i++)
		if (t->request[i].sectors && t->request[i].sectors % TRACE_BLOCK_SECTORS == 0)
			aligned[-t->request[i].sector % TRACE_BLOCK_SECTORS]++;
	for (u32 i = 1; i < TRACE_BLOCK_SECTORS; i++)
		if (aligned[i] > aligned[best])
			best = i;
	t->shift = best;
	t->end += best;
	for (u32 i = 0; i < t->nr; i++)
		t->request[i].sector += best;
}

static const char *load(const char *name, u32 most, struct trace *t)
{
	const char *error;
	int status = 0;
	pid_t child;
	FILE *f = open_file(name, &child);

	if (!f)
		return strerror(errno);
	error = read_requests(f, most, t);
	/* Who unpacks may have been left with more than was wanted. */
	fclose(f);
	if (child && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	    WEXITSTATUS(status) && !t->nr)
		error = "zstd cannot unpack it";
	if (!error)
		align(t);
	return error;
}

const char *trace_make(const struct trace_spec *spec, struct trace *t)
{
	const char *error = NULL;

	memset(t, 0, sizeof(*t));
	if (trace_is_generated(spec->name))
		generate(spec, t);
	else
		error = load(spec->name, spec->requests, t);
	if (error)
		trace_free(t);
	return error;
}

u64 trace_footprint(const struct trace *t, u32 unit_sectors)
{
	u64 units = t->end / unit_sectors + 1, n = 0;
	u8 *seen = calloc(units, 1);

	for (u32 i = 0; i < t->nr; i++) {
		const struct trace_request *rq = &t->request[i];

		if (!rq->sectors)
			continue;
		for (u64 u = rq->sector / unit_sectors;
		     u <= (rq->sector + rq->sectors - 1) / unit_sectors; u++) {
			n += !seen[u];
			seen[u] = 1;
		}
	}
	free(seen);
	return n * unit_sectors * 512;
}
