// The yardstick: messages of 64 bytes with K descriptors over a stream socket pair to a child that counts and closes all.
//   peer stream K MESSAGES plain|range    one way; `range` closes consecutive numbers with close_range(2)
//   peer echo ROUNDS [epoll]              one descriptor there and back; `epoll` waits for readiness as libuv does
// Prints one line of JSON.
#define _GNU_SOURCE
#include "message.h"

#include <sys/epoll.h>
#include <sys/wait.h>

// As libuv waits in Node, which measures how long it is idle: first without waiting.
static void wait_as_libuv(int socket) {
  static int poller = -1;
  struct epoll_event event = {.events = EPOLLIN}, ready[1024];
  if (poller < 0) {
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, socket, &event)) fail("epoll_ctl");
  }
  if (epoll_pwait(poller, ready, 1024, 0, NULL) == 0) epoll_pwait(poller, ready, 1024, -1, NULL);
}

static void child(int socket, long messages, int range, int echo, int epoll) {
  int fds[MOST];
  long total = 0;
  for (long left = messages; echo || left > 0; left--) {
    if (epoll) wait_as_libuv(socket);
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

static void echo(int socket, const int *fds, long rounds, int epoll) {
  double *times = malloc(sizeof(double) * (size_t)rounds);
  int back[MOST];
  for (long i = 0; i < rounds; i++) {
    double start = seconds();
    send_fds(socket, fds, 1);
    if (epoll) wait_as_libuv(socket);
    if (receive_fds(socket, back) != 1) fail("recvmsg");
    close(back[0]);
    times[i] = seconds() - start;
  }
  qsort(times, (size_t)rounds, sizeof *times, compare);
  printf("{\"p50\":%.3f,\"p99\":%.3f}\n", times[rounds / 2] * 1e6, times[rounds * 99 / 100] * 1e6);
}

int main(int argc, char **argv) {
  int is_echo = (argc == 3 || argc == 4) && !strcmp(argv[1], "echo");
  int epoll = is_echo && argc == 4 && !strcmp(argv[3], "epoll");
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
    child(ends[1], messages, range, is_echo, epoll);
  }
  close(ends[1]);
  for (int i = 0; i < count; i++) fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (is_echo) echo(ends[0], fds, messages, epoll);
  else stream(ends[0], fds, count, messages);
  close(ends[0]);
  waitpid(pid, NULL, 0);
  return 0;
}
