/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_TRACEPOINT_H
#define SHIM_LINUX_TRACEPOINT_H

#include <linux/types.h>

/* Tracepoints are functions that do nothing. */
#define PARAMS(args...) args
#define TP_PROTO(args...) args
#define TP_ARGS(args...) args
#define TP_CONDITION(args...) args
#define TRACE_EVENT(name, proto, args, ...)				\
	static inline void trace_##name(proto) { }			\
	static inline bool trace_##name##_enabled(void) { return false; }
#define TRACE_EVENT_CONDITION(name, proto, args, cond, ...) \
	TRACE_EVENT(name, PARAMS(proto), PARAMS(args))
#define DECLARE_EVENT_CLASS(name, proto, args, ...)
#define DEFINE_EVENT(class, name, proto, args) \
	TRACE_EVENT(name, PARAMS(proto), PARAMS(args))
#define DEFINE_EVENT_PRINT(class, name, proto, args, print) \
	TRACE_EVENT(name, PARAMS(proto), PARAMS(args))
#define TRACE_DEFINE_ENUM(x)

#endif
