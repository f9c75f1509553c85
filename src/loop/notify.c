/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of sd_notify(3): a datagram of lines to a socket whose path, or abstract name after
 * an @, is in the environment. */
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csample/mem.h>

#include "internal.h"

void notify_send(const char *socket_name, const char *text)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = socket_name ? strlen(socket_name) : 0;
	if (!len || len >= sizeof(to.sun_path) || (*socket_name != '/' && *socket_name != '@'))
		return;
	memcpy(to.sun_path, socket_name, len);
	if (*socket_name == '@')
		to.sun_path[0] = '\0';
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	/* Nobody there, or busy: there is nobody else to tell. */
	ssize_t n = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to,
	                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	(void)n;
}
