// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Small worlds, exhaustively: every sequence of up to so many operations of a small
 * alphabet, begun from each of some states; the power goes at every moment of the last
 * operation (those of the others are the last ones of shorter sequences), and every
 * medium that recovery can tell apart is made of what was not fenced then:
 *
 * - of a record of up to 24 bytes, and of the first 24 bytes of longer metadata (a
 *   kset's header, a block's magic), every subset of the 8-byte words;
 * - of the rest of longer metadata none, a part, or all: its CRC fits or does not;
 * - of user data none, a part (of the first sector, the first sector), or all;
 * - of the disk's volatile cache none, all, and two random parts.
 *
 * And each state is formatted anew.
 *
 * Where these make more than MAX_IMAGES for a moment, that many are drawn, and counted.
 *
 * Time stands still within an operation unless everybody waits; the scheduler is that
 * of who has waited longest. A task goes to the next of many CPUs whenever it may, so that
 * no later fence covers by chance what has none of its own.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/crc32c.h>
#include <linux/kernel.h>
#include <linux/mm.h>

#include "disk-model.h"
#include "guard.h"
#include "mainline-session.h"
#include "oracle.h"
#include "pcache.h"
#include "pmem-model.h"
#include "session.h"
#include "verdict.h"

#define ALPHABET "wWsFfrbcdDt"
#define ALONE "xg"		/* operations that make a sequence by themselves only */
#define MAX_LENGTH 4
#define MAX_IMAGES 8192
#define MAX_STORES 32
#define SECTOR_WORDS (SECTOR_SIZE / 8)
#define SEGS 10
#define SECTORS 64

/**
 * struct state - where sequences begin
 * @name: what it is
 * @script: operations that lead to it from a blank device
 * @grown: the device has got a segment larger at its end
 * @cut: the power goes at the last operation's moment of this number; 0: at its end
 * @detach: it is detached at the end
 * @fill_log: "wf" is repeated until the log is near its segment's end
 * @mainline: Linux's own then works with it
 * @brim: it leaves no segment free, and all of them to one kset, which is clean
 * @reformat: it first makes a cache of its own of it
 * @stale: it then raises the generation of a segment that clean keys of the log name, as
 *	it does when it has miscounted
 * @wrapped: seqs of generations have gone from 255 to 0
 * @bad: a media error is made in dirty data
 * @data_crc: with CRCs
 * @media: the cache device
 * @disk: the backing device
 * @oracle: what is known
 */
struct state {
	const char *name;
	const char *script;
	u32 cut;
	bool grown;
	bool detach;
	bool fill_log;
	bool mainline;
	bool brim;
	bool reformat;
	bool stale;
	bool wrapped;
	bool bad;
	bool data_crc;
	u8 *media;
	u8 *disk;
	void *oracle;
	u64 poison;
};

#define STATES(crc)							\
	{ .name = "blank", .data_crc = crc },				\
	{ .name = "fresh", .script = "", .detach = true, .data_crc = crc }, \
	{ .name = "dirty", .script = "nfWfs", .detach = true, .data_crc = crc }, \
	{ .name = "clean and filled", .script = "nfWfbrf", .detach = true, .data_crc = crc }, \
	{ .name = "device grown", .script = "nfWfbrf", .grown = true, .detach = true, \
	  .data_crc = crc },						\
	{ .name = "nearly full", .script = "nnnnfnnnn", .data_crc = crc }, \
	{ .name = "head at a segment's end", .script = "", .fill_log = true, .data_crc = crc }, \
	{ .name = "log wrapped", .script =				\
	  "nnfnnfnnfbcnnfnnfnnfbcnnfnnfnnfbcnnfnnfnnfbcWf", .wrapped = true, .data_crc = crc }, \
	{ .name = "tails far apart", .script = "nfnfnfbWfsfwfWf", .data_crc = crc }, \
	{ .name = "after mainline", .script = "nfWf", .detach = true, .mainline = true, \
	  .data_crc = crc },						\
	{ .name = "formatted by mainline", .script = "nfWfb", .detach = true, .mainline = true, \
	  .reformat = true, .data_crc = crc },				\
	{ .name = "filled by mainline", .script = "", .detach = true, .mainline = true, \
	  .brim = true, .data_crc = crc },				\
	{ .name = "stale keys at key_tail", .script = "nnnnfbdWf", .detach = true, \
	  .mainline = true, .stale = true, .data_crc = crc },		\
	{ .name = "stale keys in the middle", .script = "nfnnnfbdWf", .detach = true, \
	  .mainline = true, .stale = true, .data_crc = crc },		\
	{ .name = "stale keys behind dirty ones", .script = "nnfdrf", .detach = true, \
	  .mainline = true, .stale = true, .data_crc = crc },		\
	{ .name = "after a cut", .script = "nfWfsf", .cut = 2, .data_crc = crc }, \
	{ .name = "dirty data unreadable", .script = "nfWf", .detach = true, .bad = true, \
	  .data_crc = crc }

static struct state states[] = { STATES(false), STATES(true) };

struct stats {
	u64 next_job;
	u64 sequences;
	u64 moments;
	u64 images;
	u64 drawn;		/* moments of which not all images were made */
	u64 refused;
	u64 failures;
};

static struct {
	u32 length;
	u32 jobs;
	u32 sample;		/* one sequence in so many */
	u64 seed;
	const char *only;	/* state:script */
	bool trace;
} args = { .length = 3, .sample = 1 };

static struct stats *stats;
static struct sim_params params = {
	.rounds = 1, .ops = 1, .variants = 1, .cpus = 8, .submitters = 1, .depth = 1,
	.segs = SEGS, .sectors = SECTORS, .max_sectors = 8, .align = 1, .gc_percent = 70,
	.block = 1,
};
static struct sim_random chooser;
static u64 media_bytes, smaller_bytes;
static char where[200], command[240];
static u64 runs;		/* of this sequence */
static u64 where_hash;

static void count(u64 *n, u64 by)
{
	__atomic_fetch_add(n, by, __ATOMIC_RELAXED);
}

static bool failed(const char *error)
{
	printf("FAILED: %s\n  %s\n", command, error);
	fflush(stdout);
	count(&stats->failures, 1);
	return false;
}

/* What runs now: a state and operations. */
static void begin(const struct state *st, const char *script)
{
	snprintf(where, sizeof(where), "%s%s:%s", st->name, st->data_crc ? ", CRC" : "", script);
	snprintf(command, sizeof(command), "exhaustive --only '%s'", where);
	guard_begin(command);
	runs = 0;
	where_hash = 0xcbf29ce484222325ULL;
	for (const char *c = where; *c; c++)
		where_hash = (where_hash ^ (u8)*c) * 0x100000001b3ULL;
}

/* The power at a moment of the last operation */

static struct {
	u32 last;		/* of the script, from 0 */
	u32 seen;
	u32 cut_at;		/* 0: never */
} moments;

static void moment(void)
{
	session_moment();
	if (session_script_at() == moments.last && ++moments.seen == moments.cut_at)
		sim_cut();
}

static bool run(struct session *s, enum sim_end *end)
{
	/* Who goes on does not depend on the seed; numbers that have to be unique do. */
	const struct sim_config config = {
		.seed = where_hash + ++runs, .cpus = params.cpus, .hops = true,
		.max_points = 5000000,
	};

	s->p = &params;
	s->seed = runs;
	s->trace = args.trace;
	return session_run(s, &config, end);
}

static u8 *older;		/* the medium before the format */

static void keep_older(void)
{
	memcpy(older, pmem_model_view(), pmem_model_bytes());
}

/* Runs a script; the power goes at moment @cut of its last operation, or behind it. */
static bool run_script(const char *script, bool crashed, bool detach, u32 cut,
		       const struct verdict *v)
{
	struct session s = {
		.script = script, .clean = detach, .crashed = crashed, .before_format = keep_older,
		.expected = v ? v->expected : NULL, .known = v ? v->known : NULL,
	};
	enum sim_end end;
	bool ok;

	moments.last = strlen(script) - 1;
	moments.seen = 0;
	moments.cut_at = cut;
	sim_set_moment(moment);
	ok = run(&s, &end);
	sim_set_moment(NULL);
	if (s.refused)
		count(&stats->refused, 1);
	return ok || failed(session_error());
}

/* Images of a power cut */

struct part {
	u32 words;		/* of the store */
	bool data;
	u32 choices;
};

static struct {
	const struct pmem_store *stores;
	u32 nr;
	struct part part[MAX_STORES];
	u64 choice[MAX_STORES];
} cut;

static bool is_data(const struct pmem_store *s)
{
	return s->len % SECTOR_SIZE == 0 && s->off % SECTOR_SIZE == 0;
}

/* How many ways a store may have got to the medium. */
static u64 prepare_cut(void)
{
	u64 all = 1;

	cut.nr = pmem_model_unfenced(&cut.stores);
	for (u32 i = 0; i < cut.nr && i < MAX_STORES; i++) {
		struct part *part = &cut.part[i];
		u32 words = DIV_ROUND_UP(cut.stores[i].len, 8);

		part->words = words;
		part->data = is_data(&cut.stores[i]);
		part->choices = part->data ? (words <= SECTOR_WORDS ? 3 : 4) :
				words <= 3 ? 1 << words : 8 * 3;
		all = min_t(u64, all * part->choices, 1ULL << 40);
	}
	return all;
}

static bool keep_word(void *arg, u32 store, u32 word)
{
	const struct part *part = &cut.part[store];
	u64 choice = store < MAX_STORES ? cut.choice[store] : 0;

	if (store >= MAX_STORES)
		return false;
	if (part->data)
		return choice == 3 || (choice == 2 && word < SECTOR_WORDS) ||
		       (choice == 1 && word % SECTOR_WORDS < 20);
	if (word < 3)
		return choice & (1 << word);
	choice /= 8;
	return choice == 2 || (choice == 1 && word % 2);
}

static bool judge_image(const struct state *st)
{
	struct session s = { .crashed = true, .only_look = true, .clean = true };
	const char *error;
	enum sim_end end;
	struct verdict v;

	count(&stats->images, 1);
	if (st->poison)
		pmem_model_poison(st->poison, 64);
	error = verdict_judge(&params, CHECKER_CRASHED, false, &v);
	if (error)
		return failed(error);
	s.expected = v.expected;
	s.known = v.known;
	s.force = v.wiping;
	if (v.wiping && memcmp(pmem_model_durable() + PCACHE_SEGS_OFF, older + PCACHE_SEGS_OFF,
			       pmem_model_bytes() - PCACHE_SEGS_OFF))
		return failed("segments are formatted before the older cache is wiped");
	if (!run(&s, &end))
		return failed(session_error());
	if (s.refused)
		count(&stats->refused, 1);
	pmem_model_heal();
	return true;
}

/* One medium, with what the disk may have kept. */
static bool try_choice(const struct state *st)
{
	for (u32 how = 0; how < 4; how++) {
		pmem_model_on_words(keep_word, NULL);
		disk_model_on(&chooser, min_t(u32, how, DISK_CUT_SOME));
		if (!judge_image(st))
			return false;
		if (!disk_model_was_dirty())
			break;
	}
	return true;
}

static bool try_images(const struct state *st)
{
	u64 all, n;

	oracle_crash();
	pmem_model_off();
	disk_model_off();
	all = prepare_cut();
	n = min_t(u64, all, MAX_IMAGES);
	count(&stats->drawn, all > n);
	for (u64 k = 0; k < n; k++) {
		u64 left = k;

		for (u32 i = 0; i < min(cut.nr, MAX_STORES); i++) {
			u32 choices = cut.part[i].choices;

			cut.choice[i] = all > n ? sim_below(&chooser, choices) : left % choices;
			left /= choices;
		}
		if (!try_choice(st))
			return false;
	}
	return true;
}

/* States */

static void restore(const struct state *st)
{
	params.data_crc = st->data_crc;
	params.poison = st->bad;
	params.mainline = st->mainline;
	pmem_model_new(media_bytes);
	pmem_model_load(st->media);
	disk_model_load(st->disk);
	oracle_load(st->oracle);
	if (st->poison)
		pmem_model_poison(st->poison, 64);
}

static void new_devices(u64 bytes)
{
	const struct disk_config disk = {
		.first = session_first_sector(&params), .sectors = SECTORS, .block_sectors = 1,
		.write_cache = true, .discards = true,
	};

	pmem_model_new(bytes);
	disk_model_new(&disk);
	oracle_new(disk.first, disk.sectors);
}

static bool make_log_long(void)
{
	static char script[1000];
	struct verdict v;

	for (u32 n = 20; n < 400; n++) {
		script[0] = '\0';
		for (u32 i = 0; i < n; i++)
			strcat(script, i % 30 == 29 ? "bc" : "wf");
		new_devices(media_bytes);
		if (!run_script(script, false, true, 0, NULL))
			return false;
		oracle_crash();
		pmem_model_settle();
		disk_model_off();
		disk_model_on(&chooser, DISK_CUT_ALL);
		if (verdict_judge(&params, CHECKER_DETACHED, false, &v))
			return failed("the log cannot be made long");
		if (v.end[1] > PCACHE_DATA_BYTES - 2 * PCACHE_KSET_BYTES(1))
			return true;
	}
	return failed("the log never comes near its segment's end");
}

/* A line of the newest dirty data. */
static u64 some_dirty_line(const struct verdict *v)
{
	for (u32 i = 0; i < SECTORS; i++)
		if (v->places[i].dirty)
			return v->places[i].off & ~63ULL;
	return 0;
}

static u64 gen_off(u32 seg, u32 slot)
{
	return PCACHE_SEGS_OFF + (u64)seg * PCACHE_SEG_BYTES + PCACHE_SEG_GEN_OFF +
	       slot * PCACHE_SEG_GEN_STRIDE;
}

static struct pcache_media_gen generation(u32 seg)
{
	const struct pcache_media_gen *g[2] = {
		(const void *)(pmem_model_durable() + gen_off(seg, 0)),
		(const void *)(pmem_model_durable() + gen_off(seg, 1)),
	};

	return *g[(s8)(g[1]->header.seq - g[0]->header.seq) > 0];
}

static void store_generation(u32 seg, u32 slot, u8 seq, u64 gen)
{
	struct pcache_media_gen g = { .header.seq = seq, .gen = cpu_to_le64(gen) };

	g.header.crc = cpu_to_le32(crc32c(PCACHE_CRC_SEED, &g.header.seq, sizeof(g) - 4));
	pmem_model_write(gen_off(seg, slot), &g, sizeof(g));
	pmem_model_settle();
}

static void wrap_generations(void)
{
	for (u32 seg = 0; seg < SEGS; seg++) {
		u64 gen = le64_to_cpu(generation(seg).gen);

		if (!gen)
			continue;
		store_generation(seg, 0, 255, gen - 1);
		store_generation(seg, 1, 0, gen);
	}
}

/* The last segment of which all that is cached is clean. */
static bool make_keys_stale(void)
{
	bool clean[SEGS] = { }, dirty[SEGS] = { };
	struct pcache_media_gen gen;
	struct verdict v;
	u32 seg = SEGS;

	if (verdict_judge(&params, CHECKER_CRASHED, false, &v))
		return false;
	for (u32 i = 0; i < SECTORS; i++)
		if (v.places[i].off)
			*((v.places[i].dirty ? dirty : clean) +
			  (v.places[i].off - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES) = true;
	while (seg-- && (!clean[seg] || dirty[seg]))
		;
	if (seg == U32_MAX)
		return false;
	gen = generation(seg);
	/* Odd ones stand in slot 1. */
	store_generation(seg, gen.header.seq & 1 ? 0 : 1, gen.header.seq + 1,
			 le64_to_cpu(gen.gen) + 1);
	return true;
}

/* Linux's own has the device for a while. */
static bool let_mainline_work(const struct state *st)
{
	struct mainline_session m = {
		.p = &params, .writes = st->stale || st->brim ? 0 : 6, .seed = 1, .format = st->reformat,
		.fill = st->brim,
	};
	const char *error = mainline_session_run(&m);

	if (error)
		return failed(error);
	oracle_crash();
	pmem_model_settle();
	if (st->stale && !make_keys_stale())
		return failed("no segment is clean");
	return true;
}

static bool make_state(struct state *st)
{
	const char *error;
	struct verdict v;

	params.data_crc = st->data_crc;
	params.poison = 0;
	params.mainline = st->mainline;
	begin(st, "");
	if (!st->script) {
		new_devices(media_bytes);
	} else if (st->fill_log) {
		if (!make_log_long())
			return false;
	} else {
		new_devices(st->grown ? smaller_bytes : media_bytes);
		if (!run_script(st->script, false, st->detach, st->cut, NULL))
			return false;
		oracle_crash();
		pmem_model_off();
		pmem_model_on(&chooser, st->cut ? PMEM_CUT_WORDS : PMEM_CUT_ALL);
		disk_model_off();
		disk_model_on(&chooser, DISK_CUT_NONE);
	}
	pmem_model_settle();
	pmem_model_grow(media_bytes);
	if (st->mainline && !let_mainline_work(st))
		return false;
	if (st->wrapped)
		wrap_generations();
	error = verdict_judge(&params, CHECKER_CRASHED, false, &v);
	if (error)
		return failed(error);
	oracle_settle(v.expected, v.known);
	if (st->bad)
		st->poison = some_dirty_line(&v);
	st->media = malloc(media_bytes);
	st->disk = malloc(SECTORS << SECTOR_SHIFT);
	memcpy(st->media, pmem_model_durable(), media_bytes);
	disk_model_save(st->disk);
	st->oracle = oracle_save();
	return true;
}

/* Sequences */

static bool run_sequence(const struct state *st, const char *script)
{
	u32 nr = 0;

	begin(st, script);
	count(&stats->sequences, 1);
	for (u32 at = 1; at <= nr + 1; at++) {
		restore(st);
		if (!run_script(script, false, false, at, NULL))
			return false;
		/* The first run tells how many moments there are, if the first did not cut it. */
		nr = max(nr, moments.seen);
		if (moments.seen < at)
			nr = at - 1;
		count(&stats->moments, 1);
		if (!try_images(st))
			return false;
	}
	return true;
}

static void sequence_of(u64 n, char *script)
{
	u32 letters = strlen(ALPHABET), alone = strlen(ALONE), length = 1;
	u64 of_length = letters;

	if (n < alone) {
		strcpy(script, (char[]){ ALONE[n], '\0' });
		return;
	}
	n -= alone;
	while (n >= of_length) {
		n -= of_length;
		of_length *= letters;
		length++;
	}
	for (u32 i = 0; i < length; i++, n /= letters)
		script[length - 1 - i] = ALPHABET[n % letters];
	script[length] = '\0';
}

static u64 nr_sequences(void)
{
	u64 n = strlen(ALONE), of_length = 1;

	for (u32 i = 0; i < args.length; i++) {
		of_length *= strlen(ALPHABET);
		n += of_length;
	}
	return n;
}

static void work(void)
{
	u64 each = nr_sequences(), all = each * ARRAY_SIZE(states), job;
	struct sim_random r;
	char script[MAX_LENGTH + 1];

	while ((job = __atomic_fetch_add(&stats->next_job, 1, __ATOMIC_RELAXED)) < all) {
		sim_seed(&r, args.seed ^ job);
		sequence_of(job % each, script);
		if (args.sample > 1 && sim_below(&r, args.sample) && !strpbrk(script, ALONE))
			continue;
		sim_seed(&chooser, job);
		if (!run_sequence(&states[job / each], script) || stats->failures)
			break;
	}
}

static int run_only(void)
{
	const char *colon = strchr(args.only, ':');

	for (u32 i = 0; colon && i < ARRAY_SIZE(states); i++) {
		char name[100];

		snprintf(name, sizeof(name), "%s%s", states[i].name,
			 states[i].data_crc ? ", CRC" : "");
		if (strlen(name) == colon - args.only && !strncmp(name, args.only, strlen(name)))
			return run_sequence(&states[i], colon + 1) ? 0 : 1;
	}
	fprintf(stderr, "exhaustive: --only %s: expected STATE:OPERATIONS\n", args.only);
	return 2;
}

static void usage(FILE *out)
{
	fputs("usage: exhaustive [OPTION]...\n"
	      "Every short sequence of operations, with a power cut at every moment.\n"
	      "\n"
	      "  --length N       operations at most (default 3)\n"
	      "  --sample N       one sequence in N, at random (default: all)\n"
	      "  --seed S         for --sample\n"
	      "  --jobs N         processes (default: one a core)\n"
	      "  --only STATE:OPS one sequence\n"
	      "  --trace          tell its story\n"
	      "operations: w W s F write (512 B, 4 KiB, across a stretch's end, FUA), f FLUSH,\n"
	      "  r read, b write back, c reclaim, d detach and attach, D discard (across a\n"
	      "  stretch's end), t time passes;\n"
	      "  alone only: x write back, detach and format anew; g the device grows, message resize\n",
	      out);
}

static u64 number(const char *text)
{
	char *end;
	u64 n = strtoull(text, &end, 0);

	if (!*text || *end) {
		fprintf(stderr, "exhaustive: %s: expected a number\n", text);
		exit(2);
	}
	return n;
}

static const struct option options[] = {
	{ "length", required_argument, NULL, 'l' },
	{ "sample", required_argument, NULL, 's' },
	{ "seed", required_argument, NULL, 'S' },
	{ "jobs", required_argument, NULL, 'j' },
	{ "only", required_argument, NULL, 'o' },
	{ "trace", no_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'l':
			args.length = clamp_t(u64, number(optarg), 1, MAX_LENGTH);
			break;
		case 's':
			args.sample = max_t(u64, number(optarg), 1);
			break;
		case 'S':
			args.seed = number(optarg);
			break;
		case 'j':
			args.jobs = number(optarg);
			break;
		case 'o':
			args.only = optarg;
			break;
		case 't':
			args.trace = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	args.jobs = args.jobs ?: sysconf(_SC_NPROCESSORS_ONLN);
}

int main(int argc, char **argv)
{
	u32 died = 0;
	int status;

	sim_init();
	pmem_model_init();
	guard_init();
	parse(argc, argv);
	media_bytes = ALIGN(PCACHE_SEGS_OFF + (u64)SEGS * PCACHE_SEG_BYTES, PAGE_SIZE);
	smaller_bytes = media_bytes - PCACHE_SEG_BYTES;
	older = malloc(media_bytes);
	stats = mmap(NULL, sizeof(*stats), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	sim_seed(&chooser, 1);
	for (u32 i = 0; i < ARRAY_SIZE(states); i++)
		if (!make_state(&states[i]))
			return 1;
	memset(stats, 0, sizeof(*stats));
	if (args.only)
		return run_only();
	for (u32 i = 0; i < args.jobs; i++)
		if (!fork()) {
			pmem_model_init();
			work();
			_exit(0);
		}
	while (wait(&status) > 0)
		died += !WIFEXITED(status) || WEXITSTATUS(status);
	printf("exhaustive: %zu states, %llu sequences, %llu moments (%llu drawn), %llu images, "
	       "%llu refused, %llu failures\n", ARRAY_SIZE(states),
	       (unsigned long long)stats->sequences, (unsigned long long)stats->moments,
	       (unsigned long long)stats->drawn, (unsigned long long)stats->images,
	       (unsigned long long)stats->refused, (unsigned long long)stats->failures + died);
	return stats->failures + died ? 1 : 0;
}
