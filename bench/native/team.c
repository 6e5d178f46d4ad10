// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two threads that begin together, and know whether they had their CPUs to themselves:
 * a round in which one was put off its CPU says nothing about what it was to measure.
 */
#include <pthread.h>
#include <sys/resource.h>

#include <linux/compiler.h>
#include <linux/sched.h>

#include "native.h"

#define MAX_THREADS 2

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake, through;
	u64 round;
	u32 threads, running;
	team_fn fn;
	void *arg;
	bool stop;
	u32 ready;			/* atomic: who spins at the start */
	u64 begin[MAX_THREADS], end[MAX_THREADS];
	bool disturbed[MAX_THREADS];
	struct task_struct *task[MAX_THREADS];
	u32 number[MAX_THREADS];
} team = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
	.through = PTHREAD_COND_INITIALIZER,
};

static long put_off(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

static void run_round(u32 me, u32 threads)
{
	long before;

	__atomic_fetch_add(&team.ready, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&team.ready, __ATOMIC_ACQUIRE) < threads)
		__builtin_ia32_pause();
	before = put_off();
	team.begin[me] = now_ns();
	team.fn(team.arg, me);
	team.end[me] = now_ns();
	team.disturbed[me] = put_off() != before;
}

static void member(void *arg)
{
	u32 me = *(u32 *)arg;
	u64 seen = 0;

	/* The shim's number of a CPU, on which the data head depends. */
	current->cpu = me;
	pthread_mutex_lock(&team.lock);
	while (!team.stop) {
		if (team.round == seen || me >= team.threads) {
			seen = team.round;
			pthread_cond_wait(&team.wake, &team.lock);
			continue;
		}
		seen = team.round;
		pthread_mutex_unlock(&team.lock);
		run_round(me, team.threads);
		pthread_mutex_lock(&team.lock);
		if (--team.running == 0)
			pthread_cond_signal(&team.through);
	}
	pthread_mutex_unlock(&team.lock);
}

void team_start(void)
{
	team.stop = false;
	team.threads = 0;
	for (u32 i = 0; i < MAX_THREADS; i++) {
		team.number[i] = i;
		team.task[i] = shim_spawn("team", member, &team.number[i]);
	}
}

void team_stop(void)
{
	pthread_mutex_lock(&team.lock);
	team.stop = true;
	pthread_cond_broadcast(&team.wake);
	pthread_mutex_unlock(&team.lock);
	for (u32 i = 0; i < MAX_THREADS; i++)
		shim_join(team.task[i]);
}

/* One that began much later than the other did not run beside it. */
#define MAX_SKEW_NS 20000

double team_run(u32 threads, team_fn fn, void *arg)
{
	u64 begin = U64_MAX, last_begin = 0, end = 0;
	bool disturbed = false;

	pthread_mutex_lock(&team.lock);
	team.fn = fn;
	team.arg = arg;
	team.threads = threads;
	team.running = threads;
	team.ready = 0;
	team.round++;
	pthread_cond_broadcast(&team.wake);
	while (team.running)
		pthread_cond_wait(&team.through, &team.lock);
	pthread_mutex_unlock(&team.lock);
	for (u32 i = 0; i < threads; i++) {
		begin = min(begin, team.begin[i]);
		last_begin = max(last_begin, team.begin[i]);
		end = max(end, team.end[i]);
		disturbed |= team.disturbed[i];
	}
	if (disturbed || last_begin - begin > MAX_SKEW_NS)
		return -1;
	return end - begin;
}
