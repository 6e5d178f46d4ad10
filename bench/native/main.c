// SPDX-License-Identifier: GPL-2.0-or-later
/* The engine measured natively, with threads: which parts, in which order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

static const struct part {
	const char *name;
	void (*fn)(void);
	bool long_one;	/* runs only when it is named */
} parts[] = {
	{ "ops", measure_ops, false },
	{ "latency", measure_latency, false },
	{ "memory", measure_memory, false },
	{ "index", measure_index, false },
	{ "attach", measure_attach, false },
	{ "full-attach", measure_full_attach, true },
};

static int usage(void)
{
	fprintf(stderr, "usage: bench-native JSON [PART]...\n"
		"       bench-native --profile OPERATION TIMES\n"
		"Parts:");
	for (u32 i = 0; i < ARRAY_SIZE(parts); i++)
		fprintf(stderr, " %s", parts[i].name);
	fprintf(stderr, "; all but the last if none is named.\n"
		"Operations, for callgrind: write_4k, write_4k_crc, read_hit_4k, read_hit_4k_crc,\n"
		"fua_4k, flush, write_flush, attach (TIMES is keys).\n");
	return 2;
}

static bool wanted(const struct part *part, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], part->name))
			return true;
	return argc == 2 && !part->long_one;
}

static bool all_known(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		u32 j = 0;

		while (j < ARRAY_SIZE(parts) && strcmp(argv[i], parts[j].name))
			j++;
		if (j == ARRAY_SIZE(parts))
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	quiet_log();
	if (argc == 4 && !strcmp(argv[1], "--profile")) {
		profile_op(argv[2], atoi(argv[3]));
		return 0;
	}
	if (argc < 2 || argv[1][0] == '-' || !all_known(argc, argv))
		return usage();
	for (u32 i = 0; i < ARRAY_SIZE(parts); i++)
		if (wanted(&parts[i], argc, argv))
			parts[i].fn();
	figures_write(argv[1]);
	shim_stop();
	if (shim_warnings())
		fail("the engine has warned");
	return 0;
}
