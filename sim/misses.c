// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Eviction policies compared: traces are played to models of them, and to the engine, with
 * caches of some shares of what the trace touches. Printed are the share of bytes read that
 * had to come from the backing device, and the bytes stored in the cache for each byte that
 * the user wrote.
 *
 * A cache has as many segments as its size takes; their headers come on top. A model of
 * single units has all of that for data. In the engine, and the models of a log, keys and
 * what is kept free (gc_percent) come out of it.
 */
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kernel.h>
#include <linux/sizes.h>

#include "policy-models.h"
#include "trace-source.h"

/* The programs there are with the engine: sizes of segments, and of their headers. */
#define SEG_HEADER_BYTES	12288
#define SEGS_WANTED		40
#define SEGS_LEAST		16
/* Of these, what the engine never gives to data, with one head. */
#define SEGS_RESERVED		4
static const struct engine {
	u32 seg_bytes;
	u32 kset_keys;
	const char *suffix;
} engines[] = {
	{ SZ_16M, 128, "16m" }, { SZ_4M, 64, "4m" }, { SZ_1M, 32, "1m" }, { SZ_256K, 16, "256k" }, { SZ_64K, 8, "64k" },
};

#define MAX_TRACES	16
#define MAX_SIZES	8
#define MAX_ROWS	40

static struct {
	struct trace_spec spec;
	const char *traces[MAX_TRACES];
	u32 nr_traces;
	u32 percent[MAX_SIZES];
	u32 nr_sizes;
	u32 unit_bytes;		/* 0: as the trace is */
	const struct engine *segment;	/* NULL: which fits */
	bool variants;
	bool no_engine;
	bool check;
	char *dir;		/* of this program */
} args = {
	.spec = { .seed = 1, .requests = 200000, .blocks = 65536, .theta = 0.9, .write_percent = 30 },
	.percent = { 1, 10, 40 },
	.nr_sizes = 3,
};

static u32 passed, failed, skipped;

struct size {
	const struct engine *engine;
	u64 bytes;
	u32 segs;
};

/* A row of the table: the figures for each size. */
struct row {
	char name[40];
	struct miss_figures figures[MAX_SIZES];
	struct log_figures log[MAX_SIZES];
	bool is_log;
	bool failed;
};

static struct row rows[MAX_ROWS];
static u32 nr_rows;

static struct row *row_named(const char *name)
{
	u32 i = 0;

	while (i < nr_rows && strcmp(rows[i].name, name))
		i++;
	if (i == nr_rows) {
		if (++nr_rows > MAX_ROWS)
			abort();
		memset(&rows[i], 0, sizeof(rows[i]));
		snprintf(rows[i].name, sizeof(rows[i].name), "%s", name);
	}
	return &rows[i];
}

/* Sizes */

static void fit_size(struct size *s, u64 bytes)
{
	u32 i = 0;

	while (i + 1 < sizeof(engines) / sizeof(engines[0]) && !args.segment &&
	       bytes / (engines[i].seg_bytes - SEG_HEADER_BYTES) < SEGS_WANTED)
		i++;
	s->engine = args.segment ?: &engines[i];
	s->segs = max_t(u64, bytes / (s->engine->seg_bytes - SEG_HEADER_BYTES), SEGS_LEAST);
	s->bytes = (u64)s->segs * (s->engine->seg_bytes - SEG_HEADER_BYTES);
}

/* Of what is generated, the cache is full when counting begins. */
static u32 counted_from(const struct trace *t)
{
	return t->generated ? t->nr / 4 : 0;
}

/* Models */

static struct playing playing(const struct trace *t, u32 unit_sectors, u32 cutoff_kb)
{
	return (struct playing) {
		.unit_sectors = unit_sectors, .from = counted_from(t),
		.cutoff_sectors = cutoff_kb * 2,
	};
}

static void run_set_model(const char *name, const struct trace *t, u32 unit_sectors,
			  const struct size *size, u32 i)
{
	struct model *m = set_model_new(name, t->end / unit_sectors + 1,
					size->bytes / (unit_sectors * 512));
	struct playing how = playing(t, unit_sectors, 0);

	model_run(m, t, &how, &row_named(name)->figures[i]);
	model_free(m);
}

/* A log that differs from others in this: */
struct log_variant {
	u32 gc_percent;
	enum log_grain grain;
	u32 turns;
	u32 bound_percent;
	u32 cutoff_kb;
};

static const char *log_name(const struct log_variant *v)
{
	static const char *const grains[] = { "unit", "key", "merged" };
	static char name[40];
	int n;

	if (!v->turns)
		n = snprintf(name, sizeof(name), "log-fifo %u", v->gc_percent);
	else
		n = snprintf(name, sizeof(name), "log-clock %u %s %ux%u%%", v->gc_percent,
			     grains[v->grain], v->turns, v->bound_percent);
	if (v->cutoff_kb)
		snprintf(name + n, sizeof(name) - n, " cut %u", v->cutoff_kb);
	return name;
}

static void run_log_model(const struct log_variant *v, const struct trace *t, u32 unit_sectors,
			  const struct size *size, u32 i)
{
	const struct log_config c = {
		.segs = size->segs, .unit_sectors = unit_sectors,
		.seg_units = (size->engine->seg_bytes - SEG_HEADER_BYTES) / (unit_sectors * 512),
		.gc_percent = v->gc_percent, .reserved = SEGS_RESERVED,
		.kset_keys = size->engine->kset_keys, .grain = v->grain, .turns = v->turns,
		.bound_percent = v->bound_percent,
	};
	struct model *m = log_model_new(&c, t->end / unit_sectors + 1);
	struct playing how = playing(t, unit_sectors, v->cutoff_kb);
	struct row *row = row_named(log_name(v));

	model_run(m, t, &how, &row->figures[i]);
	row->log[i] = *log_model_figures(m);
	row->is_log = true;
	model_free(m);
}

/* Second turns: what is remembered of what, how much of a segment gets them. */
static void run_variants(const struct trace *t, u32 unit_sectors, const struct size *size, u32 i)
{
	static const u32 bounds[] = { 10, 25, 50 };
	struct log_variant v = { .gc_percent = 70, .turns = 1 };

	for (v.grain = LOG_GRAIN_UNIT; v.grain <= LOG_GRAIN_MERGED; v.grain++)
		for (u32 b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
			v.bound_percent = bounds[b];
			run_log_model(&v, t, unit_sectors, size, i);
		}
	v = (struct log_variant) { 70, LOG_GRAIN_MERGED, 3, 25, 0 };
	run_log_model(&v, t, unit_sectors, size, i);
}

/* Streams of reads that are cut off. */
static void run_cutoffs(const struct trace *t, u32 unit_sectors, const struct size *size, u32 i)
{
	struct log_variant v = { 70, LOG_GRAIN_MERGED, 1, 25, 0 };

	for (v.cutoff_kb = 256; v.cutoff_kb <= 4096; v.cutoff_kb *= 4) {
		run_log_model(&(struct log_variant) { .gc_percent = 70, .cutoff_kb = v.cutoff_kb },
			      t, unit_sectors, size, i);
		run_log_model(&v, t, unit_sectors, size, i);
	}
}

/* The engine */

static bool parse_figures(FILE *f, struct miss_figures *figures)
{
	unsigned long long n[5];

	if (fscanf(f, "%llu %llu %llu %llu %llu", &n[0], &n[1], &n[2], &n[3], &n[4]) != 5)
		return false;
	*figures = (struct miss_figures) { n[0], n[1], n[2], n[3], n[4] };
	return true;
}

/* How the engine is told to evict. */
struct engine_variant {
	u32 gc_percent;
	bool clock;
	u32 cutoff_kb;
};

static const char *engine_name(const struct engine_variant *v)
{
	static char name[40];
	int n = snprintf(name, sizeof(name), "engine %s %u", v->clock ? "clock" : "fifo",
			 v->gc_percent);

	if (v->cutoff_kb)
		snprintf(name + n, sizeof(name) - n, " cut %u", v->cutoff_kb);
	return name;
}

static void exec_engine(const struct engine_variant *v, const struct trace_spec *spec,
			const struct size *size, u32 from)
{
	char path[600], n[10][24];

	snprintf(path, sizeof(path), "%s/misses-engine-%s", args.dir, size->engine->suffix);
	snprintf(n[0], sizeof(n[0]), "%llu", (unsigned long long)spec->seed);
	snprintf(n[1], sizeof(n[1]), "%u", spec->requests);
	snprintf(n[2], sizeof(n[2]), "%u", spec->blocks);
	snprintf(n[3], sizeof(n[3]), "%u", spec->cache_blocks);
	snprintf(n[4], sizeof(n[4]), "%.6f", spec->theta);
	snprintf(n[5], sizeof(n[5]), "%u", spec->write_percent);
	snprintf(n[6], sizeof(n[6]), "%u", size->segs);
	snprintf(n[7], sizeof(n[7]), "%u", v->gc_percent);
	snprintf(n[8], sizeof(n[8]), "%u", v->cutoff_kb);
	snprintf(n[9], sizeof(n[9]), "%u", from);
	execl(path, path, spec->name, n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7],
	      v->clock ? "clock" : "fifo", n[8], n[9], (char *)NULL);
	perror(path);
	_exit(1);
}

static void run_engine(const struct engine_variant *v, const struct trace_spec *spec,
		       const struct trace *t, const struct size *size, u32 i)
{
	struct row *row = row_named(engine_name(v));
	int fds[2], status = 1;
	bool ok;
	pid_t child;
	FILE *f;

	fflush(stdout);
	if (pipe(fds)) {
		perror("pipe");
		exit(1);
	}
	child = fork();
	if (!child) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		exec_engine(v, spec, size, counted_from(t));
	}
	close(fds[1]);
	f = fdopen(fds[0], "r");
	ok = parse_figures(f, &row->figures[i]);
	fclose(f);
	waitpid(child, &status, 0);
	if (!ok || status) {
		row->failed = true;
		failed++;
	}
}

/* The table */

static void print_figures(const struct miss_figures *f, bool with_fills)
{
	if (f->read_bytes)
		printf(" | %6.2f", 100.0 * f->missed_bytes / f->read_bytes);
	else
		printf(" | %6s", "-");
	if (f->written_bytes)
		printf(" %6.2f", (double)f->stored_bytes / f->written_bytes);
	else
		printf(" %6s", "-");
	if (with_fills)
		printf(" %7llu", (unsigned long long)f->fills);
	else
		printf(" %7s", "");
}

static void print_rows(void)
{
	for (u32 i = 0; i < nr_rows; i++) {
		printf("%-32s", rows[i].name);
		for (u32 k = 0; k < args.nr_sizes; k++)
			print_figures(&rows[i].figures[k], true);
		printf("%s\n", rows[i].failed ? "  FAILED" : "");
	}
}

static double share(u64 part, u64 whole)
{
	return whole ? 100.0 * part / whole : 0;
}

/* What a segment holds when its turn comes, in percent of it. */
static void print_segments(const struct size *sizes, u32 unit_sectors)
{
	printf("%-32s", "at a segment's turn, %");
	for (u32 k = 0; k < args.nr_sizes; k++)
		printf(" |  live   used copied");
	printf("\n");
	for (u32 i = 0; i < nr_rows; i++) {
		if (!rows[i].is_log)
			continue;
		printf("%-32s", rows[i].name);
		for (u32 k = 0; k < args.nr_sizes; k++) {
			const struct log_figures *l = &rows[i].log[k];
			u64 all = l->segs * ((sizes[k].engine->seg_bytes - SEG_HEADER_BYTES) /
					     (unit_sectors * 512));

			printf(" | %5.1f %6.1f %6.1f", share(l->live, all), share(l->used, all),
			       share(l->copied, all));
		}
		printf("\n");
	}
}

static void print_heading(const char *name, const struct trace *t, u32 unit_sectors,
			  const struct size *sizes)
{
	u64 writes = 0, footprint = trace_footprint(t, unit_sectors);

	for (u32 i = 0; i < t->nr; i++)
		writes += t->request[i].op == TRACE_WRITE;
	printf("\n%s: %u requests, %llu of them writes, counted from request %u on; units of %u bytes",
	       name, t->nr, (unsigned long long)writes, counted_from(t), unit_sectors * 512);
	if (t->shift)
		printf("; sectors shifted by %u", t->shift);
	printf("\nfootprint %.1f MiB%s\n%-32s", footprint / 1048576.0,
	       trace_fits_cache(name) ? " (of the largest; a loop for each size)" : "", "");
	for (u32 k = 0; k < args.nr_sizes; k++)
		printf(" | %2u %%: %4u segs of %4s", args.percent[k], sizes[k].segs,
		       sizes[k].engine->suffix);
	printf("\n%-32s", "");
	for (u32 k = 0; k < args.nr_sizes; k++)
		printf(" | miss %% stored   fills");
	printf("\n");
}

/* All rows for one size. */
static void run_size(const struct trace_spec *spec, const struct trace *t, u32 unit_sectors,
		     const struct size *size, u32 i)
{
	static const struct log_variant variants[] = {
		{ .gc_percent = 100 }, { .gc_percent = 90 }, { .gc_percent = 70 },
		{ 90, LOG_GRAIN_MERGED, 1, 25, 0 }, { 70, LOG_GRAIN_MERGED, 1, 25, 0 },
	};
	static const struct engine_variant engine[] = {
		{ 90, false, 0 }, { 70, false, 0 }, { 90, true, 0 }, { 70, true, 0 },
		{ 70, false, 256 }, { 70, true, 256 },
	};
	bool cutoffs = args.variants || args.check;

	for (u32 k = 0; set_model_names[k]; k++)
		run_set_model(set_model_names[k], t, unit_sectors, size, i);
	for (u32 k = 0; k < sizeof(variants) / sizeof(variants[0]); k++)
		run_log_model(&variants[k], t, unit_sectors, size, i);
	if (args.variants)
		run_variants(t, unit_sectors, size, i);
	if (cutoffs)
		run_cutoffs(t, unit_sectors, size, i);
	for (u32 k = 0; !args.no_engine && k < sizeof(engine) / sizeof(engine[0]); k++)
		if (cutoffs || !engine[k].cutoff_kb)
			run_engine(&engine[k], spec, t, size, i);
}

static u32 unit_sectors_of(const struct trace *t)
{
	return (args.unit_bytes ?: t->generated ? 4096 : 512) / 512;
}

/* Makes the trace anew for each size, if it depends on that. */
static const char *run_trace(const char *name)
{
	struct trace_spec spec = args.spec;
	struct size sizes[MAX_SIZES];
	struct trace t = { };
	const char *error;
	u64 footprint = 0;
	u32 unit_sectors = 0;

	spec.name = name;
	nr_rows = 0;
	for (u32 i = 0; i < args.nr_sizes; i++) {
		if (!t.request || trace_fits_cache(name)) {
			u64 blocks = (u64)spec.blocks * args.percent[i] / 100;

			fit_size(&sizes[i], blocks * 4096);
			spec.cache_blocks = sizes[i].bytes / 4096;
			trace_free(&t);
			error = trace_make(&spec, &t);
			if (error)
				return error;
			unit_sectors = unit_sectors_of(&t);
			footprint = trace_footprint(&t, unit_sectors);
		}
		if (!trace_fits_cache(name))
			fit_size(&sizes[i], footprint * args.percent[i] / 100);
		run_size(&spec, &t, unit_sectors, &sizes[i], i);
	}
	print_heading(name, &t, unit_sectors, sizes);
	print_rows();
	if (args.variants)
		print_segments(sizes, unit_sectors);
	trace_free(&t);
	return NULL;
}

/* The engine against the model of a log: they may differ by so much, in percent of reads. */
#define CHECK_MOST	0.5

static double miss_percent(const char *name)
{
	const struct miss_figures *f = row_named(name)->figures;

	return share(f->missed_bytes, f->read_bytes);
}

static void compare(const char *model, const char *engine)
{
	double diff = miss_percent(engine) - miss_percent(model);
	bool good = miss_percent(engine) > 0 && diff < CHECK_MOST && -diff < CHECK_MOST;

	printf("%s: %s misses %+.2f %% of reads more than %s\n", good ? "ok" : "FAILED", engine,
	       diff, model);
	*(good ? &passed : &failed) += 1;
}

static void check_trace(const char *name)
{
	const char *error = run_trace(name);

	if (error) {
		printf("FAILED: %s\n", error);
		failed++;
		return;
	}
	compare("log-fifo 70", "engine fifo 70");
	compare("log-fifo 90", "engine fifo 90");
	compare("log-clock 70 merged 1x25%", "engine clock 70");
	compare("log-clock 90 merged 1x25%", "engine clock 90");
	compare("log-fifo 70 cut 256", "engine fifo 70 cut 256");
	compare("log-clock 70 merged 1x25% cut 256", "engine clock 70 cut 256");
}

static void check(void)
{
	args.spec.requests = 40000;
	args.spec.blocks = 16384;
	args.percent[0] = 20;
	args.nr_sizes = 1;
	check_trace("zipf");
	check_trace("scan");
}

static void run_all(void)
{
	for (u32 i = 0; i < args.nr_traces; i++) {
		const char *error;

		if (!args.traces[i][0]) {
			printf("\nskipped: a trace from a file, which TRACE=file would name\n");
			skipped++;
			continue;
		}
		error = run_trace(args.traces[i]);
		if (error)
			printf("\nFAILED: %s: %s\n", args.traces[i], error);
		*(error ? &failed : &passed) += 1;
	}
}

static void usage(FILE *out)
{
	fputs("usage: misses [OPTION]... [TRACE]...\n"
	      "Plays traces (files; or zipf, scan, loop, shift; without any, all of these) to models\n"
	      "of eviction policies and to the engine.\n"
	      "\n"
	      "  --percent N,N...   sizes of the cache, of what the trace touches (1,10,40)\n"
	      "  --unit BYTES       units of the models: 512 or 4096 (4096; of a file 512)\n"
	      "  --segment SIZE     64k, 256k, 1m, 4m or 16m, the real one (the largest of which the\n"
	      "                     cache has 40)\n"
	      "  --variants         second turns in a log: what is remembered of which part, how much\n"
	      "                     of a segment may have one; sequential_cutoff_kb\n"
	      "  --no-engine        models only\n"
	      "  --requests N       so many, of a file at most (200000)\n"
	      "  --blocks N         of 4 KiB, over which a trace is generated (65536)\n"
	      "  --seed N           of what is generated (1)\n"
	      "  --theta X          skew of zipf (0.9)\n"
	      "  --writes PERCENT   of what is generated, where there are some (30)\n"
	      "  --check            is the engine where the model of a log says? Takes some seconds\n"
	      "\n"
	      "Rows: lru to s3fifo are models that cache units anywhere; log-fifo P is one of a log\n"
	      "with gc_percent P; log-clock P GRAIN TxB% gives what was used up to T more turns, B % of\n"
	      "a segment at most, uses being remembered of each GRAIN; cut K: sequential_cutoff_kb K;\n"
	      "engine EVICTION P is the engine.\n", out);
}

static void parse_sizes(char *text)
{
	args.nr_sizes = 0;
	for (char *p = strtok(text, ","); p && args.nr_sizes < MAX_SIZES; p = strtok(NULL, ","))
		args.percent[args.nr_sizes++] = clamp(atoi(p), 1, 200);
}

static void parse_segment(const char *text)
{
	for (u32 i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (!strcmp(text, engines[i].suffix))
			args.segment = &engines[i];
	if (!args.segment) {
		fputs("misses: --segment: expected 64k, 256k, 1m, 4m or 16m\n", stderr);
		exit(2);
	}
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "percent", 1, NULL, 'p' }, { "unit", 1, NULL, 'u' }, { "variants", 0, NULL, 'g' },
		{ "no-engine", 0, NULL, 'n' }, { "segment", 1, NULL, 'm' }, { "requests", 1, NULL, 'r' },
		{ "blocks", 1, NULL, 'b' }, { "seed", 1, NULL, 's' }, { "theta", 1, NULL, 't' },
		{ "writes", 1, NULL, 'w' }, { "check", 0, NULL, 'c' }, { "help", 0, NULL, 'h' },
		{ },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'p':
			parse_sizes(optarg);
			break;
		case 'u':
			args.unit_bytes = atoi(optarg) == 512 ? 512 : 4096;
			break;
		case 'g':
			args.variants = true;
			break;
		case 'n':
			args.no_engine = true;
			break;
		case 'm':
			parse_segment(optarg);
			break;
		case 'r':
			args.spec.requests = max(atoi(optarg), 1);
			break;
		case 'b':
			args.spec.blocks = clamp(atoi(optarg), 4096, 1 << 24);
			break;
		case 's':
			args.spec.seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			args.spec.theta = atof(optarg);
			break;
		case 'w':
			args.spec.write_percent = clamp(atoi(optarg), 0, 100);
			break;
		case 'c':
			args.check = true;
			break;
		default:
			usage(o == 'h' ? stdout : stderr);
			exit(o == 'h' ? 0 : 2);
		}
	}
	for (; optind < argc && args.nr_traces < MAX_TRACES; optind++)
		args.traces[args.nr_traces++] = argv[optind];
	for (u32 i = 0; !args.nr_traces && trace_names[i]; i++)
		args.traces[i] = trace_names[i];
	for (; args.traces[args.nr_traces]; args.nr_traces++)
		;
	args.dir = dirname(strdup(argv[0]));
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	if (args.check)
		check();
	else
		run_all();
	printf("misses: %u passed, %u failed", passed, failed);
	if (skipped)
		printf(", %u skipped", skipped);
	printf("\n");
	return failed != 0;
}
