// What the yardsticks share: one message of 64 bytes with descriptors, sent, received, closed.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 64, MOST = 253 };

static char out_control[CMSG_SPACE(sizeof(int) * MOST)];
static char in_control[CMSG_SPACE(sizeof(int) * MOST)];

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void send_fds(int socket, const int *fds, int count) {
  char bytes[BYTES] = {0};
  struct iovec part = {bytes, sizeof bytes};
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

// Returns how many came, or -1 at the end.
static int receive_fds(int socket, int *fds) {
  char bytes[BYTES];
  struct iovec part = {bytes, sizeof bytes};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = in_control, .msg_controllen = sizeof in_control};
  int count = 0;
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0) return -1;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(header), sizeof(int) * (size_t)count);
  }
  return count;
}

// `range` closes consecutive numbers with close_range(2).
static void close_fds(const int *fds, int count, int range) {
  for (int first = 0, next; first < count; first = next) {
    next = first + 1;
    while (range && next < count && fds[next] == fds[next - 1] + 1) next++;
    if (next - first == 1) close(fds[first]);
    else syscall(SYS_close_range, fds[first], fds[next - 1], 0);
  }
}
