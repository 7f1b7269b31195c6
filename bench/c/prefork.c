// A prefork HTTP server in C, the yardstick: PORT=… prefork WORKERS. The parent accepts and passes each connection to the
// worker that has the fewest, one descriptor a message; workers answer from an epoll loop and say how many they closed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_WORKERS = 64, BUDGET = 64 };
static struct { pid_t pid; int channel; long open; } workers[MOST_WORKERS];
static int worker_count;

union control {
  struct cmsghdr header;
  char room[CMSG_SPACE(sizeof(int))];
};

static bool pass(int channel, int fd) {
  char byte = 0;
  struct iovec data = {&byte, 1};
  union control control = {0};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
  memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  return sendmsg(channel, &message, MSG_NOSIGNAL) == 1;
}

// A connection, -1 for none now, -2 at the end.
static int take(int channel) {
  char byte;
  struct iovec data = {&byte, 1};
  union control control;
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t got = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got == 0) return -2;
  struct cmsghdr *header = got < 0 ? NULL : CMSG_FIRSTHDR(&message);
  int fd = -1;
  if (header) memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

// Whether the connection goes on.
static bool answer(int fd) {
  char text[2048], reply[256];
  ssize_t got = recv(fd, text, sizeof text - 1, 0);
  if (got <= 0) return false;
  text[got] = 0;
  bool last = strcasestr(text, "connection: close") != NULL;
  int length = snprintf(reply, sizeof reply,
                        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: %s\r\nX-Worker: %d\r\n\r\nhello\n",
                        last ? "close" : "keep-alive", getpid());
  return send(fd, reply, (size_t)length, MSG_NOSIGNAL) == length && !last;
}

static void watch(int queue, int fd) {
  struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(queue, EPOLL_CTL_ADD, fd, &e);
}

static void work(int channel) {
  int queue = epoll_create1(0);
  watch(queue, channel);
  for (;;) {
    struct epoll_event events[128];
    int n = epoll_wait(queue, events, 128, -1);
    uint32_t closed = 0;
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd != channel) {
        if (!answer(fd)) close(fd), closed++;
        continue;
      }
      for (int left = BUDGET; left > 0 && (fd = take(channel)) != -1; left--) {
        if (fd == -2) _exit(0);
        watch(queue, fd);
      }
    }
    if (closed && write(channel, &closed, sizeof closed) != sizeof closed) _exit(0);
  }
}

static void hire(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) exit(1);
  pid_t pid = fork();
  if (pid == 0) {
    signal(SIGTERM, SIG_DFL);
    close(pair[0]);
    work(pair[1]);
  }
  close(pair[1]);
  workers[worker_count].pid = pid;
  workers[worker_count++].channel = pair[0];
}

static void stop(int signal) {
  (void)signal;
  for (int i = 0; i < worker_count; i++) kill(workers[i].pid, SIGKILL);
  _exit(0);
}

static void accept_some(int listener) {
  for (int left = BUDGET; left > 0; left--) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    int least = 0;
    for (int i = 1; i < worker_count; i++)
      if (workers[i].open < workers[least].open) least = i;
    if (pass(workers[least].channel, fd)) workers[least].open++;
    close(fd);
  }
}

int main(int argc, char **argv) {
  if (argc != 2 || !getenv("PORT")) return 2;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(getenv("PORT")))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) return 1;
  for (int i = atoi(argv[1]); i > 0 && worker_count < MOST_WORKERS; i--) hire();
  signal(SIGTERM, stop);
  puts("ready");
  fflush(stdout);

  struct pollfd polled[MOST_WORKERS + 1];
  for (;;) {
    for (int i = 0; i < worker_count; i++) polled[i] = (struct pollfd){workers[i].channel, POLLIN, 0};
    polled[worker_count] = (struct pollfd){listener, POLLIN, 0};
    poll(polled, (nfds_t)worker_count + 1, -1);
    for (int i = 0; i < worker_count; i++) {
      uint32_t closed[64];
      if (!polled[i].revents) continue;
      ssize_t got = recv(workers[i].channel, closed, sizeof closed, MSG_DONTWAIT);
      for (ssize_t at = 0; at < got / 4; at++) workers[i].open -= closed[at];
    }
    if (polled[worker_count].revents) accept_some(listener);
  }
}
