// HTTP clients that retry nothing: load PORT close|keep CLIENTS SECONDS, one line of JSON on the standard output.
//
// close: one request on each connection, read to its end. keep: one request after another on each connection.
// Every request without its whole answer is counted by what the client saw: refused, reset, eof, hung (5 s), bad.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum outcome { OK, REFUSED, RESET, END, HUNG, BAD, OUTCOMES };
static const char *const NAMES[] = {"ok", "refused", "reset", "eof", "hung", "bad"};

enum { ROOM = 4096, MOST_WORKERS = 1024, MOST_SAMPLES = 1 << 22 };
static const double PATIENCE = 5.0, REFUSED_PAUSE = 0.01;

struct client {
  int fd;            // -1: not connected
  bool sent, whole;  // the request is out; its answer is complete
  size_t length;
  double since, not_before;
  char text[ROOM + 1];
};

static int queue;
static bool keep;
static double stop_at;
static struct sockaddr_in server;
static const char *request;
static long counts[OUTCOMES];
static float *samples;
static size_t sample_count;
static struct { long pid, answers; } workers[MOST_WORKERS];
static int worker_count;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void begin(struct client *c) {
  c->fd = -1;
  c->sent = c->whole = false;
  c->length = 0;
  c->since = now();
  if (c->since >= stop_at) return;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (connect(c->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) {
    counts[REFUSED]++;
    close(c->fd);
    c->fd = -1;
    c->not_before = c->since + REFUSED_PAUSE;
    return;
  }
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
  epoll_ctl(queue, EPOLL_CTL_ADD, c->fd, &e);
}

// Ends the connection, and begins the next one. Without a TIME_WAIT, of which there would be too many.
static void end(struct client *c, enum outcome seen) {
  if (seen != OK) counts[seen]++;
  struct linger at_once = {1, 0};
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(c->fd);
  c->fd = -1;
  if (seen == REFUSED)
    c->not_before = now() + REFUSED_PAUSE;
  else
    begin(c);
}

static void count_worker(const char *text) {
  const char *header = strcasestr(text, "x-worker:");
  long pid = header ? atol(header + 9) : 0;
  int i = 0;
  while (i < worker_count && workers[i].pid != pid) i++;
  if (i == MOST_WORKERS) return;
  if (i == worker_count) workers[worker_count++].pid = pid;
  workers[i].answers++;
}

// 1: the whole answer is there. 0: not yet. -1: it is no answer.
static int look(struct client *c) {
  c->text[c->length] = 0;
  const char *body = strstr(c->text, "\r\n\r\n");
  if (!body) return 0;
  const char *length = strcasestr(c->text, "content-length:");
  if (strncmp(c->text, "HTTP/1.1 200", 12) || !length) return -1;
  return c->length >= (size_t)(body + 4 - c->text) + strtoul(length + 15, NULL, 10);
}

static bool ask(struct client *c) {
  c->sent = true;
  return send(c->fd, request, strlen(request), MSG_NOSIGNAL) > 0;
}

static void answered(struct client *c) {
  counts[OK]++;
  count_worker(c->text);
  if (sample_count < MOST_SAMPLES) samples[sample_count++] = (float)(now() - c->since);
}

static void read_answer(struct client *c) {
  while (c->fd >= 0) {
    ssize_t got = recv(c->fd, c->text + c->length, ROOM - c->length, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return end(c, c->whole ? OK : got == 0 ? END : RESET);
    c->length += (size_t)got;
    if (c->whole) continue;
    int found = look(c);
    if (found < 0) return end(c, BAD);
    if (found == 0) continue;
    answered(c);
    c->whole = !keep;
    if (!keep) continue;
    if (now() >= stop_at) return end(c, OK);
    c->length = 0;
    c->since = now();
    if (!ask(c)) return end(c, RESET);
  }
}

static void ready(struct client *c, unsigned events) {
  if (!c->sent) {
    if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) return;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) return end(c, error == ECONNRESET ? RESET : REFUSED);
    if (!ask(c)) return end(c, RESET);
  }
  read_answer(c);
}

// Clients that wait too long, and refused ones whose pause is over. Whether any is still under way.
static bool tend(struct client *clients, int count) {
  double t = now();
  bool open = false;
  for (int i = 0; i < count; i++) {
    struct client *c = clients + i;
    if (c->fd >= 0 && !c->whole && t - c->since > PATIENCE) end(c, HUNG);
    if (c->fd < 0 && t < stop_at && t >= c->not_before) begin(c);
    open = open || c->fd >= 0;
  }
  return open;
}

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void print(double seconds) {
  qsort(samples, sample_count, sizeof *samples, by_size);
  double p99 = sample_count ? samples[sample_count * 99 / 100] * 1e6 : 0;
  double p50 = sample_count ? samples[sample_count / 2] * 1e6 : 0;
  double max = sample_count ? samples[sample_count - 1] * 1e6 : 0;
  printf("{\"rate\":%.0f,\"p50\":%.0f,\"p99\":%.0f,\"max\":%.0f", (double)counts[OK] / seconds, p50, p99, max);
  for (int i = 0; i < OUTCOMES; i++) printf(",\"%s\":%ld", NAMES[i], counts[i]);
  printf(",\"workers\":[");
  for (int i = 0; i < worker_count; i++) printf("%s%ld", i ? "," : "", workers[i].answers);
  puts("]}");
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  keep = strcmp(argv[2], "keep") == 0;
  request = keep ? "GET / HTTP/1.1\r\nHost: a\r\n\r\n" : "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  server.sin_family = AF_INET;
  server.sin_port = htons((unsigned short)atoi(argv[1]));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int count = atoi(argv[3]);
  double seconds = atof(argv[4]);
  struct client *clients = calloc((size_t)count, sizeof *clients);
  samples = malloc(MOST_SAMPLES * sizeof *samples);
  queue = epoll_create1(0);
  if (!clients || !samples || queue < 0) return 1;

  double start = now(), looked = start;
  stop_at = start + seconds;
  for (int i = 0; i < count; i++) begin(clients + i);
  for (;;) {
    struct epoll_event events[256];
    int n = epoll_wait(queue, events, 256, 5);
    for (int i = 0; i < n; i++) {
      struct client *c = events[i].data.ptr;
      if (c->fd >= 0) ready(c, events[i].events);
    }
    double t = now();
    if (t - looked < 0.005) continue;
    looked = t;
    if (!tend(clients, count) && t >= stop_at) break;
    if (t > stop_at + PATIENCE + 1) break;
  }
  print(seconds);
  return 0;
}
