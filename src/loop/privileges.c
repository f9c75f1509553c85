/* SPDX-License-Identifier: Apache-2.0 */
/* What a recording of months may still do when something in it is taken over. Capabilities are a
 * thread's: this has to happen before there is a second one. */
#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csample/log.h>

#include "internal.h"

#ifndef CAP_PERFMON /* Linux 5.8 */
#define CAP_PERFMON 38
#endif

#define BIT(cap) (1ULL << (cap))

/* To read processes of others and their files, for perf events and their rings, for samplers at
 * real-time priority, for names of kernel functions. */
#define KEPT                                                                                     \
	(BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_PERFMON) | BIT(CAP_IPC_LOCK) | \
	 BIT(CAP_SYS_NICE) | BIT(CAP_SYSLOG))

static bool get(uint64_t *permitted_ret)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {0};
	if (syscall(SYS_capget, &head, data))
		return false;
	*permitted_ret = data[0].permitted | (uint64_t)data[1].permitted << 32;
	return true;
}

static bool set(uint64_t caps)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{.permitted = (uint32_t)caps},
	                                         {.permitted = (uint32_t)(caps >> 32)}};
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	return !syscall(SYS_capset, &head, data);
}

void loop_drop_privileges(bool writes_anywhere, bool low_port)
{
	uint64_t have, keep = KEPT;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (!get(&have))
		return;
	if (!(have & BIT(CAP_PERFMON))) /* before it there was only this one */
		keep |= BIT(CAP_SYS_ADMIN);
	if (writes_anywhere)
		keep |= BIT(CAP_DAC_OVERRIDE);
	if (low_port)
		keep |= BIT(CAP_NET_BIND_SERVICE);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned long cap = 0; have & BIT(CAP_SETPCAP) && cap < 64; cap++)
		if (!(keep & BIT(cap)))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (!set(have & keep))
		log_debug(LOG_TARGET, "privileges stay as they are: errno %d", errno);
}
