// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fault (a store to the medium past pmem.h is one) and a loop that passes no point end
 * the process. Before it ends, it says what it ran.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "guard.h"

#define CPU_SECONDS 60

static const char *running = "";

static void say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(3);
}

static void faulted(int sig)
{
	say("FAILED: ");
	say(running);
	say(sig == SIGPROF ? "\n  it does not come back, and passes no point\n" :
	    sig == SIGABRT ? "\n  it ends itself\n" :
	    "\n  it faults (the medium touched past pmem.h, or a wild pointer)\n");
	_exit(1);
}

void guard_init(void)
{
	static char stack[65536];
	const stack_t alternative = { .ss_sp = stack, .ss_size = sizeof(stack) };
	const struct sigaction act = { .sa_handler = faulted, .sa_flags = SA_ONSTACK };
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGPROF };

	sigaltstack(&alternative, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &act, NULL);
}

void guard_begin(const char *what)
{
	const struct itimerval limit = { .it_value.tv_sec = CPU_SECONDS };

	running = what;
	setitimer(ITIMER_PROF, &limit, NULL);
}
