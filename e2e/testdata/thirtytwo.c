/* thirtytwo - asks for a socket by the interface of 32-bit programs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { SYS_SOCKET = 359 }; /* i386 */

int main(void)
{
#ifdef __x86_64__
	int r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(SYS_SOCKET), "b"(AF_INET), "c"(SOCK_STREAM), "d"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	puts(r >= 0 ? "made" : r == -ENOSYS ? "ENOSYS" : "another error");
#else
	puts("not here");
#endif
	return 0;
}
