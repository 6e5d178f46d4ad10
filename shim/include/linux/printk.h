/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_PRINTK_H
#define SHIM_LINUX_PRINTK_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <stdarg.h>

#define KERN_SOH "\001"
#define KERN_EMERG KERN_SOH "0"
#define KERN_ALERT KERN_SOH "1"
#define KERN_CRIT KERN_SOH "2"
#define KERN_ERR KERN_SOH "3"
#define KERN_WARNING KERN_SOH "4"
#define KERN_NOTICE KERN_SOH "5"
#define KERN_INFO KERN_SOH "6"
#define KERN_DEBUG KERN_SOH "7"
#define KERN_CONT KERN_SOH "c"

#ifndef pr_fmt
#define pr_fmt(fmt) fmt
#endif

/* Goes to the sink that shim_set_log() chose. */
int printk(const char *fmt, ...) __printf(1, 2);
int vprintk(const char *fmt, va_list args) __printf(1, 0);

#define no_printk(fmt, ...) \
	({ if (0) printk(fmt, ##__VA_ARGS__); 0; })
#define pr_emerg(fmt, ...) printk(KERN_EMERG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_alert(fmt, ...) printk(KERN_ALERT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_crit(fmt, ...) printk(KERN_CRIT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_err(fmt, ...) printk(KERN_ERR pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn(fmt, ...) printk(KERN_WARNING pr_fmt(fmt), ##__VA_ARGS__)
#define pr_notice(fmt, ...) printk(KERN_NOTICE pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info(fmt, ...) printk(KERN_INFO pr_fmt(fmt), ##__VA_ARGS__)
#define pr_cont(fmt, ...) printk(KERN_CONT fmt, ##__VA_ARGS__)
#define pr_debug(fmt, ...) no_printk(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)

#define shim_once(fn, fmt, ...)						\
do {									\
	static bool __po_done;						\
	if (!__atomic_exchange_n(&__po_done, true, __ATOMIC_RELAXED))	\
		fn(fmt, ##__VA_ARGS__);					\
} while (0)
#define pr_err_once(fmt, ...) shim_once(pr_err, fmt, ##__VA_ARGS__)
#define pr_warn_once(fmt, ...) shim_once(pr_warn, fmt, ##__VA_ARGS__)
#define pr_info_once(fmt, ...) shim_once(pr_info, fmt, ##__VA_ARGS__)

#define shim_ratelimited(fn, fmt, ...)					\
do {									\
	static DEFINE_RATELIMIT_STATE(__rl_state,			\
		DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);	\
	if (__ratelimit(&__rl_state))					\
		fn(fmt, ##__VA_ARGS__);					\
} while (0)
#define pr_err_ratelimited(fmt, ...) \
	shim_ratelimited(pr_err, fmt, ##__VA_ARGS__)
#define pr_warn_ratelimited(fmt, ...) \
	shim_ratelimited(pr_warn, fmt, ##__VA_ARGS__)
#define pr_notice_ratelimited(fmt, ...) \
	shim_ratelimited(pr_notice, fmt, ##__VA_ARGS__)
#define pr_info_ratelimited(fmt, ...) \
	shim_ratelimited(pr_info, fmt, ##__VA_ARGS__)

#include <linux/ratelimit.h>

#endif
