/* SPDX-License-Identifier: Apache-2.0 */
/* How to put right what doctor found: on a host, in Docker, in Kubernetes. */
#include "doctor.h"

/* clang-format off */
const struct fix_text fix_texts[FIXES] = {
	[FIX_ACCESS] = {
		"to read other processes",
		"sudo csample ..., or once: sudo setcap cap_sys_ptrace,cap_perfmon,cap_sys_nice,cap_syslog+ep "
		"CSAMPLE (the program's file)",
		"docker run --pid=container:NAME --cap-add=SYS_PTRACE --cap-add=PERFMON --cap-add=SYS_NICE ... "
		"(docker exec --privileged in a container that runs)",
		"securityContext: {runAsUser: 0, capabilities: {add: [SYS_PTRACE, PERFMON, SYS_NICE]}}, with "
		"shareProcessNamespace: true or as an ephemeral container (kubectl debug --target=CONTAINER "
		"--profile=sysadmin)" },
	[FIX_YAMA] = {
		"to read processes that csample did not start (yama)",
		"sudo csample ..., or: sudo sysctl kernel.yama.ptrace_scope=0",
		"--cap-add=SYS_PTRACE, or the sysctl on the host",
		"capabilities: {add: [SYS_PTRACE]}, or the sysctl on the node" },
	[FIX_YAMA_FOREVER] = {
		"to read any process (yama's level 3 cannot be lowered until the next boot)",
		"set kernel.yama.ptrace_scope to 2 or less in /etc/sysctl.d and boot",
		"the same on the host", "the same on the node" },
	[FIX_SECCOMP] = {
		"to lift the seccomp filter",
		"start csample outside of the sandbox (systemd: SystemCallFilter=@system-service @debug)",
		"--security-opt seccomp=unconfined, or a profile that allows perf_event_open, "
		"process_vm_readv, ptrace and sched_setscheduler",
		"securityContext: {seccompProfile: {type: Unconfined}}" },
	[FIX_PERF] = {
		"to use perf events, on whole CPUs and with the kernel",
		"sudo csample ..., or: sudo setcap cap_sys_ptrace,cap_perfmon,cap_sys_nice+ep CSAMPLE, or: sudo sysctl "
		"kernel.perf_event_paranoid=-1",
		"--cap-add=PERFMON --security-opt seccomp=unconfined",
		"capabilities: {add: [PERFMON]}, seccompProfile: {type: Unconfined}" },
	[FIX_REALTIME] = {
		"to have real-time priority",
		"sudo csample ..., or: sudo setcap cap_sys_ptrace,cap_perfmon,cap_sys_nice+ep CSAMPLE, or rtprio 99 for your user in "
		"/etc/security/limits.conf",
		"--cap-add=SYS_NICE, or --ulimit rtprio=99",
		"capabilities: {add: [SYS_NICE]}" },
	[FIX_USERNS] = {
		"to leave the user namespace, inside of which these privileges do not count",
		"start csample outside of unshare, rootless containers and the like, with sudo",
		"--userns=host (rootless Docker: run csample on the host)",
		"hostUsers: true" },
	[FIX_RT_GROUP] = {
		"to have real-time priority in this control group",
		"start csample outside of it, or give it cpu.rt_runtime_us (kernel with "
		"CONFIG_RT_GROUP_SCHED); kernel.sched_rt_runtime_us must not be 0",
		"--cpu-rt-runtime=950000, or --cgroup-parent=/",
		"run csample on the node itself" },
	[FIX_CPUSET] = {
		"to be on every CPU of the target",
		"start csample without taskset, numactl or AllowedCPUs=",
		"no --cpuset-cpus on csample's container, or the target's",
		"run csample in a pod that has no exclusive CPUs (static CPU manager), or in the target's "
		"container" },
	[FIX_MLOCK] = {
		"to map a perf ring for each CPU",
		"ulimit -l unlimited, or: sudo sysctl kernel.perf_event_mlock_kb=16384",
		"--ulimit memlock=-1, or --cap-add=IPC_LOCK",
		"capabilities: {add: [IPC_LOCK]}" },
	[FIX_NOFILE] = {
		"to open enough files",
		"ulimit -n 65536 (hard limit: /etc/security/limits.conf, LimitNOFILE=)",
		"--ulimit nofile=65536:65536",
		"the container runtime's default limits, or capabilities: {add: [SYS_RESOURCE]}" },
	[FIX_KALLSYMS] = {
		"to name kernel frames (--kernel)",
		"sudo csample ..., or CAP_SYSLOG; kernel.kptr_restrict must be 0 or 1",
		"--cap-add=SYSLOG", "capabilities: {add: [SYSLOG]}" },
	[FIX_SYMBOLS] = {
		"to name functions and lines",
		"install the program's debug package (NAME-dbgsym), or build it with -g and do not strip it, or: "
		"export DEBUGINFOD_URLS=https://debuginfod.debian.net",
		"keep the symbols in the image, or mount the debug files at /usr/lib/debug",
		"the same, or csample in a container that has them at /usr/lib/debug" },
};
/* clang-format on */

const char *const level_names[LEVELS] = {"ok", "note", "degraded", "missing"};
