// The same loop in C: send, receive and close in one process over a stream socket pair, 64 bytes with K descriptors.
// usage: sync K MESSAGES plain|range        prints the seconds that the loop took
#define _GNU_SOURCE
#include "message.h"

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int count = atoi(argv[1]), range = !strcmp(argv[3], "range"), pair[2], fds[MOST], got[MOST];
  long messages = atol(argv[2]);
  if (count < 1 || count > MOST) return 2;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) fail("socketpair");
  for (int i = 0; i < count; i++) fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  double start = seconds();
  for (long i = 0; i < messages; i++) {
    send_fds(pair[0], fds, count);
    if (receive_fds(pair[1], got) != count) return 1;
    close_fds(got, count, range);
  }
  printf("%.9f\n", seconds() - start);
  return 0;
}
