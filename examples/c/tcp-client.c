/*
 * tcp-client - the classic TCP client.
 *
 *	tcp-client [address [port [text]]]
 *
 * Connects, sends the text and a newline, says that it is done with shutdown, and
 * waits until the server has closed.
 */
#include "net.h"

int main(int argc, char **argv)
{
	struct sockaddr_in server = server_address(argc, argv, 1);
	const char *text = argc > 3 ? argv[3] : "Hello from the client";
	char buf[256];
	ssize_t n;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
		die("connect");
	if (send_all(fd, text, strlen(text)) < 0 || send_all(fd, "\n", 1) < 0)
		die("send");
	if (shutdown(fd, SHUT_WR) < 0)
		die("shutdown");
	while ((n = recv(fd, buf, sizeof buf, 0)) != 0)
		if (n < 0 && errno != EINTR)
			die("recv");
	if (close(fd) < 0)
		die("close");
	return EXIT_SUCCESS;
}
