// SPDX-License-Identifier: GPL-2.0-or-later
/* Log, warnings, clock, random numbers: what has no better place. */
#include <stdarg.h>
#include <stdio.h>

#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/uuid.h>
#include <shim/host.h>

#include "port.h"
#include "shim-core.h"

int shim_fence_word;
unsigned int nr_cpu_ids = 4;
const unsigned char shim_zero_page[PAGE_SIZE] __aligned(PAGE_SIZE);

static struct port_lock log_lock;
static shim_log_fn log_fn;
static void *log_data;
static unsigned int warnings;

void shim_set_cpus(unsigned int n)
{
	BUG_ON(n == 0 || n > NR_CPUS);
	nr_cpu_ids = n;
}

void shim_set_log(shim_log_fn fn, void *data)
{
	port_lock(&log_lock, false);
	log_fn = fn;
	log_data = data;
	port_unlock(&log_lock);
}

int vprintk(const char *fmt, va_list args)
{
	char text[1024];
	char *line = text;
	int level = 6, n;

	n = vscnprintf(text, sizeof(text), fmt, args);
	if (text[0] == KERN_SOH[0] && text[1]) {
		level = text[1] == 'c' ? 6 : text[1] - '0';
		line += 2;
	}
	port_lock(&log_lock, false);
	if (log_fn)
		log_fn(log_data, level, line);
	else
		fputs(line, stderr);
	port_unlock(&log_lock);
	return n;
}

int printk(const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vprintk(fmt, args);
	va_end(args);
	return n;
}

void shim_bug(const char *fmt, ...)
{
	struct task_struct *task = current;
	char text[512];
	va_list args;

	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	pr_emerg("BUG: %s [task %s]\n", text, task->comm);
	shim_log_held(task);
	port_panic();
}

void shim_warn(const char *file, int line, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	__atomic_fetch_add(&warnings, 1, __ATOMIC_RELAXED);
	pr_warn("WARNING at %s:%d: %s", file, line, text);
}

unsigned int shim_warnings(void)
{
	return READ_ONCE(warnings);
}

void shim_clear_warnings(void)
{
	WRITE_ONCE(warnings, 0);
}

void ratelimit_state_init(struct ratelimit_state *rs, int interval, int burst)
{
	*rs = (struct ratelimit_state)RATELIMIT_STATE_INIT(rs, interval, burst);
}

int ___ratelimit(struct ratelimit_state *rs, const char *func)
{
	int missed = 0, ok;

	if (!rs->interval)
		return 1;
	port_lock(&rs->lock, true);
	if (!rs->begun || time_is_before_jiffies(rs->begin + rs->interval)) {
		missed = rs->missed;
		rs->begun = true;
		rs->begin = jiffies;
		rs->printed = 0;
		rs->missed = 0;
	}
	ok = rs->printed < rs->burst;
	if (ok)
		rs->printed++;
	else
		rs->missed++;
	port_unlock(&rs->lock);
	if (missed)
		pr_warn("%s: %d callbacks suppressed\n", func, missed);
	return ok;
}

unsigned long shim_jiffies(void)
{
	return INITIAL_JIFFIES + port_now_ns() / (NSEC_PER_SEC / HZ);
}

u64 ktime_get_ns(void)
{
	return port_now_ns();
}

u64 ktime_get_real_ns(void)
{
	return port_real_ns();
}

time64_t ktime_get_real_seconds(void)
{
	return port_real_ns() / NSEC_PER_SEC;
}

void get_random_bytes(void *buf, size_t len)
{
	port_random(buf, len);
}

u64 get_random_u64(void)
{
	u64 v;

	port_random(&v, sizeof(v));
	return v;
}

u32 get_random_u32(void)
{
	return get_random_u64();
}

u16 get_random_u16(void)
{
	return get_random_u64();
}

u8 get_random_u8(void)
{
	return get_random_u64();
}

u32 get_random_u32_below(u32 ceil)
{
	u64 limit, v;

	if (!ceil)
		return 0;
	limit = U64_MAX - U64_MAX % ceil;
	do {
		v = get_random_u64();
	} while (v >= limit);
	return v % ceil;
}

u32 get_random_u32_inclusive(u32 floor, u32 ceil)
{
	u32 span = ceil - floor + 1;

	return span ? floor + get_random_u32_below(span) : get_random_u32();
}

void generate_random_uuid(unsigned char uuid[16])
{
	port_random(uuid, 16);
	uuid[6] = (uuid[6] & 0x0f) | 0x40;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

void uuid_gen(uuid_t *u)
{
	generate_random_uuid(u->b);
}

unsigned int shim_scheduled(void)
{
	return shim_works_scheduled() + shim_timers_armed();
}

void shim_stop(void)
{
	shim_timers_stop();
	shim_workers_stop();
}
