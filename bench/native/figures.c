// SPDX-License-Identifier: GPL-2.0-or-later
/* Figures: a table as they come, JSON at the end; time, medians, random numbers. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "native.h"

#define MAX_FIGURES 200

static struct {
	char name[80], unit[16];
	double value, limit;
	enum goal goal;
} figures[MAX_FIGURES];
static u32 nr_figures;

void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("bench-native: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	fflush(stdout);
}

static bool is_met(u32 i)
{
	return figures[i].goal == AT_LEAST ? figures[i].value >= figures[i].limit :
					     figures[i].value <= figures[i].limit;
}

void figure_goal(const char *name, const char *text, double value, const char *unit,
		 enum goal goal, double limit)
{
	u32 i = nr_figures++;
	int digits = value < 100 ? 2 : value < 10000 ? 1 : 0;

	if (i == MAX_FIGURES)
		fail("more than %d figures", MAX_FIGURES);
	snprintf(figures[i].name, sizeof(figures[i].name), "%s", name);
	snprintf(figures[i].unit, sizeof(figures[i].unit), "%s", unit);
	figures[i].value = value;
	figures[i].goal = goal;
	figures[i].limit = limit;
	say("  %-58s %12.*f %-8s", text, digits, value, unit);
	if (goal != NO_GOAL)
		say(" goal %s %g: %s", goal == AT_LEAST ? "at least" : "at most", limit,
		    is_met(i) ? "met" : "MISSED");
	say("\n");
}

void figure(const char *name, const char *text, double value, const char *unit)
{
	figure_goal(name, text, value, unit, NO_GOAL, 0);
}

void figures_write(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		fail("%s cannot be written", path);
	fprintf(f, "{\n");
	for (u32 i = 0; i < nr_figures; i++) {
		fprintf(f, "  \"%s\": { \"value\": %.6g, \"unit\": \"%s\"", figures[i].name,
			figures[i].value, figures[i].unit);
		if (figures[i].goal != NO_GOAL)
			fprintf(f, ", \"%s\": %g, \"met\": %s",
				figures[i].goal == AT_LEAST ? "at_least" : "at_most",
				figures[i].limit, is_met(i) ? "true" : "false");
		fprintf(f, " }%s\n", i + 1 < nr_figures ? "," : "");
	}
	fprintf(f, "}\n");
	if (fclose(f))
		fail("%s cannot be written", path);
}

u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *values, u32 nr)
{
	qsort(values, nr, sizeof(*values), compare);
	return nr ? (values[nr / 2] + values[(nr - 1) / 2]) / 2 : 0;
}

u64 random_next(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

u64 random_below(u64 *state, u64 n)
{
	return ((unsigned __int128)random_next(state) * n) >> 64;
}

/* Each step can be undone: so no two numbers become the same one. */
u64 scatter(u64 n, u32 bits)
{
	u64 mask = (1ULL << bits) - 1;

	for (u32 i = 0; i < 3; i++) {
		n = (n * 0x9e3779b97f4a7c15ULL + 0x1234567) & mask;
		n ^= n >> (bits / 2);
	}
	return n;
}
