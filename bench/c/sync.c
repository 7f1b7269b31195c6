// The same loop in C: send, receive and close in one process over a stream socket pair, 64 bytes with K descriptors.
// usage: sync K MESSAGES plain|range        prints the seconds that the loop took
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 253, BYTES = 64 };

static char out_control[CMSG_SPACE(sizeof(int) * MOST)];
static char in_control[CMSG_SPACE(sizeof(int) * MOST)];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void send_one(int socket, const int *fds, int count) {
  char bytes[BYTES] = {0};
  struct iovec part = {bytes, BYTES};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  message.msg_control = out_control;
  message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
  memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)count);
  if (sendmsg(socket, &message, MSG_NOSIGNAL) != BYTES) fail("sendmsg");
}

static int receive_one(int socket, int *fds) {
  char bytes[BYTES];
  struct iovec part = {bytes, BYTES};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = in_control, .msg_controllen = sizeof in_control};
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != BYTES) fail("recvmsg");
  int count = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(header), (size_t)count * sizeof(int));
  }
  return count;
}

static void close_all(const int *fds, int count, int range) {
  for (int i = 0, end; i < count; i = end) {
    end = i + 1;
    while (range && end < count && fds[end] == fds[end - 1] + 1) end++;
    if (end - i == 1) close(fds[i]);
    else close_range((unsigned)fds[i], (unsigned)fds[end - 1], 0);
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int count = atoi(argv[1]), range = !strcmp(argv[3], "range"), pair[2], fds[MOST], got[MOST];
  long messages = atol(argv[2]);
  if (count < 1 || count > MOST) return 2;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) fail("socketpair");
  for (int i = 0; i < count; i++) fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  double start = now();
  for (long i = 0; i < messages; i++) {
    send_one(pair[0], fds, count);
    if (receive_one(pair[1], got) != count) return 1;
    close_all(got, count, range);
  }
  printf("%.9f\n", now() - start);
  return 0;
}
