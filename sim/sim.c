// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The simulator's command: seeds on all cores, until the time is over or one fails.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kernel.h>

#include "disk-model.h"
#include "guard.h"
#include "pmem-model.h"
#include "seed.h"

#define MAX_JOBS 64

static struct {
	u64 seed;
	u64 seeds;		/* how many; 0: until the time is over */
	u32 seconds;
	u32 jobs;
	bool trace;
	bool shrink;
	bool quiet;
	const char *sets[64];
	u32 nr_sets;
} args = { .seconds = 10 };

/* What all processes share. */
static struct shared {
	u64 next_seed;
	u64 stop;		/* no new seeds */
	struct seed_stats stats;
	u64 *images;		/* hashes of crash images; 0: free */
} *shared;

#define IMAGE_SLOTS (1UL << 25)

static void usage(FILE *out)
{
	fputs("usage: sim [OPTION]...\n"
	      "Runs the cache in a simulated machine, with power cuts and faults, from seeds.\n"
	      "\n"
	      "  --seed S         the first seed (default: from the clock)\n"
	      "  --seeds N        so many seeds; 1 if --seed is given without --seconds\n"
	      "  --seconds N      until so many seconds are over (default 10)\n"
	      "  --jobs N         processes (default: one a core)\n"
	      "  --set NAME=N     change a value of the seed's mixture; may be repeated\n"
	      "  --params         print the seed's mixture, and what each value is\n"
	      "  --trace          tell the story of each request, and the engine's log\n"
	      "  --shrink         make the failing seed smaller\n"
	      "  --quiet          no progress line\n", out);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Distinct crash images, of all processes */

static bool image_is_new(u64 hash)
{
	u64 at = hash >> 20;

	hash = hash ?: 1;
	for (u32 tries = 0; tries < 1000; tries++, at++) {
		u64 *slot = &shared->images[at % IMAGE_SLOTS], none = 0;

		if (__atomic_load_n(slot, __ATOMIC_RELAXED) == hash)
			return false;
		if (__atomic_compare_exchange_n(slot, &none, hash, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
		if (none == hash)
			return false;
	}
	return false;
}

static void add_stats(const struct seed_stats *s)
{
	const u64 *from = (const u64 *)s;
	u64 *to = (u64 *)&shared->stats;

	for (size_t i = 0; i < sizeof(*s) / sizeof(u64); i++)
		__atomic_fetch_add(&to[i], from[i], __ATOMIC_RELAXED);
}

/* One seed */

static void params_of(struct sim_params *p, u64 seed)
{
	sim_params_draw(p, seed);
	for (u32 i = 0; i < args.nr_sets; i++)
		if (!sim_params_set(p, args.sets[i])) {
			fprintf(stderr, "sim: --set %s: expected NAME=NUMBER with a name of --params\n",
				args.sets[i]);
			exit(2);
		}
	sim_params_fit(p);
}

/* What repeats it. */
static const char *command_of(u64 seed)
{
	static char line[2000];
	size_t n = snprintf(line, sizeof(line), "sim --seed %llu", (unsigned long long)seed);

	for (u32 i = 0; i < args.nr_sets && n < sizeof(line); i++)
		n += snprintf(line + n, sizeof(line) - n, " --set %s", args.sets[i]);
	return line;
}

static void print_failure(const char *command, const char *error)
{
	printf("FAILED: %s\n  %s%s", command, error,
	       error[strlen(error) - 1] == '\n' ? "" : "\n");
	fflush(stdout);
}

static bool run_one(u64 seed, struct seed_stats *stats)
{
	const char *command = command_of(seed);
	struct sim_params p;

	params_of(&p, seed);
	guard_begin(command);
	if (seed_run(&p, seed, args.trace, image_is_new, stats))
		return true;
	stats->failures++;
	print_failure(command, seed_error());
	return false;
}

/* Making a failure smaller: value by value to what is simple, then halves of numbers */

static bool still_fails(const struct sim_params *p, u64 seed)
{
	struct seed_stats stats = { };
	struct sim_params fit = *p;

	sim_params_fit(&fit);
	return !seed_run(&fit, seed, false, NULL, &stats);
}

static bool shrink_value(struct sim_params *p, u64 seed, u32 i)
{
	const char *name;
	u32 simple, *value = sim_params_at(p, i, &name, &simple), old = *value;

	if (old == simple)
		return false;
	*value = simple;
	if (still_fails(p, seed))
		return true;
	*value = (old + simple) / 2;
	if (*value != old && still_fails(p, seed))
		return true;
	*value = old;
	return false;
}

static void shrink(u64 seed)
{
	struct sim_params p, first;
	bool smaller = true;

	params_of(&p, seed);
	if (!still_fails(&p, seed)) {
		printf("seed %llu does not fail\n", (unsigned long long)seed);
		return;
	}
	while (smaller) {
		smaller = false;
		for (u32 i = 0; i < sim_params_count(); i++)
			smaller |= shrink_value(&p, seed, i);
	}
	while (p.ops > 1) {
		u32 old = p.ops;

		p.ops -= (p.ops + 7) / 8;
		if (!still_fails(&p, seed)) {
			p.ops = old;
			break;
		}
	}
	sim_params_draw(&first, seed);
	printf("sim --seed %llu", (unsigned long long)seed);
	for (u32 i = 0; i < sim_params_count(); i++) {
		const char *name;
		u32 simple, value = *sim_params_at(&p, i, &name, &simple);

		if (value != *sim_params_at(&first, i, &name, &simple))
			printf(" --set %s=%u", name, value);
	}
	if (still_fails(&p, seed))
		printf("\n  %s\n", seed_error());
}

/* Processes */

static void work(void)
{
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		u64 n = __atomic_fetch_add(&shared->next_seed, 1, __ATOMIC_RELAXED);
		struct seed_stats stats = { .seeds = 1 };

		if (args.seeds && n >= args.seeds)
			break;
		if (!run_one(args.seed + n, &stats))
			__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
		stats.turned = stats.second_turns > 0;
		add_stats(&stats);
	}
}

static void progress(double since)
{
	const struct seed_stats *s = &shared->stats;

	if (args.quiet || !isatty(1))
		return;
	printf("\r%.0f s: %llu seeds, %llu requests, %llu cuts, %llu images ", now() - since,
	       (unsigned long long)s->seeds, (unsigned long long)s->ops,
	       (unsigned long long)s->cuts, (unsigned long long)s->images);
	fflush(stdout);
}

/* Waits for all; a process that dies, dies of the seed that it ran. */
static u32 wait_for(u32 running, double since)
{
	u32 died = 0;

	while (running) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid > 0) {
			running--;
			if (!WIFEXITED(status) || WEXITSTATUS(status)) {
				died++;
				__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
			}
			continue;
		}
		if (!args.seeds && now() - since >= args.seconds)
			__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
		progress(since);
		usleep(100000);
	}
	return died;
}

/* Of this process and those that it has waited for: other programs don't count. */
static double cpu_seconds(void)
{
	struct rusage own, children;

	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &children);
	return own.ru_utime.tv_sec + own.ru_stime.tv_sec + children.ru_utime.tv_sec +
	       children.ru_stime.tv_sec + (own.ru_utime.tv_usec + own.ru_stime.tv_usec +
	       children.ru_utime.tv_usec + children.ru_stime.tv_usec) / 1e6;
}

static int run_all(void)
{
	double since = now();
	struct seed_stats *s = &shared->stats;
	u32 died;

	printf("sim: first seed %llu\n", (unsigned long long)args.seed);
	fflush(stdout);
	if (args.jobs == 1 && args.seeds == 1) {
		work();
		died = 0;
	} else {
		for (u32 i = 0; i < args.jobs; i++)
			if (!fork()) {
				pmem_model_init();
				work();
				_exit(0);
			}
		died = wait_for(args.jobs, since);
	}
	printf("%s%llu requests, %llu sessions, %llu power cuts, %llu distinct crash images, "
	       "%llu second turns in %llu seeds, %llu seeds, %.0f seeds/s of CPU, %llu failures\n",
	       args.quiet || !isatty(1) ? "" : "\n", (unsigned long long)s->ops,
	       (unsigned long long)s->sessions, (unsigned long long)s->cuts,
	       (unsigned long long)s->images, (unsigned long long)s->second_turns,
	       (unsigned long long)s->turned, (unsigned long long)s->seeds,
	       s->seeds / cpu_seconds(), (unsigned long long)s->failures + died);
	return s->failures + died ? 1 : 0;
}

static void *share(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return p;
}

static u64 number(const char *option, const char *text)
{
	char *end;
	u64 n = strtoull(text, &end, 0);

	if (!*text || *end) {
		fprintf(stderr, "sim: --%s %s: expected a number\n", option, text);
		exit(2);
	}
	return n;
}

enum { SEED = 1, SEEDS, SECONDS, JOBS, SET, PARAMS, TRACE, SHRINK, QUIET, HELP };

static const struct option options[] = {
	{ "seed", required_argument, NULL, SEED },
	{ "seeds", required_argument, NULL, SEEDS },
	{ "seconds", required_argument, NULL, SECONDS },
	{ "jobs", required_argument, NULL, JOBS },
	{ "set", required_argument, NULL, SET },
	{ "params", no_argument, NULL, PARAMS },
	{ "trace", no_argument, NULL, TRACE },
	{ "shrink", no_argument, NULL, SHRINK },
	{ "quiet", no_argument, NULL, QUIET },
	{ "help", no_argument, NULL, HELP },
	{ }
};

/* True: the mixture is only to be printed. */
static bool parse(int argc, char **argv)
{
	bool only_params = false, seconds = false, seed = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case SEED:
			args.seed = number("seed", optarg);
			seed = true;
			break;
		case SEEDS:
			args.seeds = number("seeds", optarg);
			break;
		case SECONDS:
			args.seconds = number("seconds", optarg);
			seconds = true;
			break;
		case JOBS:
			args.jobs = min_t(u64, number("jobs", optarg), MAX_JOBS);
			break;
		case SET:
			if (args.nr_sets < ARRAY_SIZE(args.sets))
				args.sets[args.nr_sets++] = optarg;
			break;
		case PARAMS:
			only_params = true;
			break;
		case TRACE:
			args.trace = true;
			break;
		case SHRINK:
			args.shrink = true;
			break;
		case QUIET:
			args.quiet = true;
			break;
		case HELP:
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "sim: %s: no arguments are expected\n", argv[optind]);
		exit(2);
	}
	if (seed && !seconds && !args.seeds)
		args.seeds = 1;
	if (!seed)
		args.seed = (u64)(now() * 1e3) % 1000000000 * 1000;
	if (!args.jobs)
		args.jobs = args.seeds == 1 ? 1 : sysconf(_SC_NPROCESSORS_ONLN);
	return only_params;
}

int main(int argc, char **argv)
{
	struct sim_params p;

	sim_init();
	pmem_model_init();
	guard_init();
	if (parse(argc, argv)) {
		params_of(&p, args.seed);
		sim_params_print(&p);
		return 0;
	}
	if (args.shrink) {
		shrink(args.seed);
		return 0;
	}
	shared = share(sizeof(*shared));
	shared->images = share(IMAGE_SLOTS * sizeof(u64));
	return run_all();
}
