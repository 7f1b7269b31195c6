// The yardstick: messages of 64 bytes with K descriptors over a stream socket pair to a child that counts and closes all.
//   peer stream K MESSAGES plain|range    one way; `range` closes consecutive numbers with close_range(2)
//   peer echo ROUNDS                      one descriptor there and back
// Prints one line of JSON.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 64, MOST = 253 };

static char control[CMSG_SPACE(sizeof(int) * MOST)];

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
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
  memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)count);
  if (sendmsg(socket, &message, MSG_NOSIGNAL) != BYTES) fail("sendmsg");
}

static int receive_fds(int socket, int *fds) {
  char bytes[BYTES];
  struct iovec part = {bytes, sizeof bytes};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  int count = 0;
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0) return -1;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(header), sizeof(int) * (size_t)count);
  }
  return count;
}

static void close_fds(const int *fds, int count, int range) {
  for (int first = 0, next; first < count; first = next) {
    next = first + 1;
    while (range && next < count && fds[next] == fds[next - 1] + 1) next++;
    if (next - first == 1) close(fds[first]);
    else syscall(SYS_close_range, fds[first], fds[next - 1], 0);
  }
}

static void child(int socket, long messages, int range, int echo) {
  int fds[MOST];
  long total = 0;
  for (long left = messages; echo || left > 0; left--) {
    int count = receive_fds(socket, fds);
    if (count < 0) _exit(echo ? 0 : 1);
    if (echo) send_fds(socket, fds, count);
    total += count;
    close_fds(fds, count, range);
  }
  _exit(write(socket, &total, sizeof total) == sizeof total ? 0 : 1);
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void stream(int socket, const int *fds, int count, long messages) {
  double start = seconds();
  long total = 0;
  for (long i = 0; i < messages; i++) send_fds(socket, fds, count);
  if (read(socket, &total, sizeof total) != sizeof total) fail("read");
  double took = seconds() - start;
  printf("{\"seconds\":%.6f,\"rate\":%.1f,\"lost\":%ld}\n", took, (double)messages / took, messages * count - total);
}

static void echo(int socket, const int *fds, long rounds) {
  double *times = malloc(sizeof(double) * (size_t)rounds);
  int back[MOST];
  for (long i = 0; i < rounds; i++) {
    double start = seconds();
    send_fds(socket, fds, 1);
    if (receive_fds(socket, back) != 1) fail("recvmsg");
    close(back[0]);
    times[i] = seconds() - start;
  }
  qsort(times, (size_t)rounds, sizeof *times, compare);
  printf("{\"p50\":%.3f,\"p99\":%.3f}\n", times[rounds / 2] * 1e6, times[rounds * 99 / 100] * 1e6);
}

int main(int argc, char **argv) {
  int is_echo = argc == 3 && !strcmp(argv[1], "echo");
  if (!is_echo && argc != 5) return 2;
  int count = is_echo ? 1 : atoi(argv[2]);
  long messages = atol(argv[is_echo ? 2 : 3]);
  int range = !is_echo && !strcmp(argv[4], "range");
  if (count < 1 || count > MOST || messages < 1) return 2;
  int ends[2], fds[MOST];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) fail("socketpair");
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    close(ends[0]);
    child(ends[1], messages, range, is_echo);
  }
  close(ends[1]);
  for (int i = 0; i < count; i++) fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (is_echo) echo(ends[0], fds, messages);
  else stream(ends[0], fds, count, messages);
  close(ends[0]);
  waitpid(pid, NULL, 0);
  return 0;
}
