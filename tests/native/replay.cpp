// Replays recorded calls of the library without Python, so that checkers of memory and of threads see
// nothing else. A recording is a job's bytes and those of all that it points at, each with the place
// of its pointer in the job: no member is named here. Every call is made by several threads at once,
// each on memory of its own, and all must come to the same bits.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Job;
extern "C" long long chainrule_advance(Job *, long long epochs, double seconds);
extern "C" double chainrule_cost_and_gradient(Job *);
extern "C" double chainrule_evaluate(Job *, void *outputs);

typedef unsigned long long u64;
enum { ADVANCE, GRADIENT, EVALUATE };
constexpr u64 MOST = 64;

struct Recording {
  u64 call, epochs, outputs, size, regions;  // as they begin the file's entry
  char *job;
  u64 at[MOST], bytes[MOST], result[MOST];
  char *data[MOST];
};

static bool read(FILE *file, void *into, u64 bytes) { return fread(into, 1, bytes, file) == bytes; }

static char *read_new(FILE *file, u64 bytes) {
  char *into = (char *)malloc(bytes);
  if (!read(file, into, bytes)) abort();
  return into;
}

static char *aligned(u64 bytes) {
  void *at = nullptr;
  if (posix_memalign(&at, 64, bytes ? bytes : 1)) abort();
  return (char *)at;
}

static u64 sum_of(u64 sum, const char *bytes, u64 n) {
  for (u64 i = 0; i < n; i++) sum = (sum ^ (unsigned char)bytes[i]) * 1099511628211ull;
  return sum;
}

// Make the call on copies; return a sum over what it left behind.
static u64 replay(const Recording &r) {
  char *job = aligned(r.size), *copies[MOST], *outputs = aligned(r.outputs);
  memcpy(job, r.job, r.size);
  for (u64 i = 0; i < r.regions; i++) {
    copies[i] = aligned(r.bytes[i]);
    memcpy(copies[i], r.data[i], r.bytes[i]);
    memcpy(job + r.at[i], &copies[i], 8);
  }
  u64 sum = 14695981039346656037ull;
  double value = 0;
  if (r.call == ADVANCE) {
    chainrule_advance((Job *)job, (long long)r.epochs, 1e9);
  } else {
    value = r.call == GRADIENT ? chainrule_cost_and_gradient((Job *)job)
                               : chainrule_evaluate((Job *)job, outputs);
    sum = sum_of(sum, outputs, r.outputs);
  }
  sum = sum_of(sum, (char *)&value, 8);
  for (u64 i = 0; i < r.regions; i++) {
    if (r.result[i]) sum = sum_of(sum, copies[i], r.bytes[i]);
    free(copies[i]);
  }
  free(job), free(outputs);
  return sum;
}

struct Caller {
  const Recording *recording;
  u64 sum;
};
static void *call(void *data) {
  Caller &caller = *(Caller *)data;
  caller.sum = replay(*caller.recording);
  return nullptr;
}

int main(int count, char **words) {
  if (count != 3) return fprintf(stderr, "usage: replay FILE CALLERS\n"), 2;
  FILE *file = fopen(words[1], "rb");
  const int callers = atoi(words[2]);
  if (!file || callers < 1 || callers > int(MOST)) return 2;
  Recording r;
  int done = 0;
  for (; read(file, &r, 5 * sizeof(u64)); done++) {
    if (r.regions > MOST) return 2;
    r.job = read_new(file, r.size);
    for (u64 i = 0; i < r.regions; i++) {
      u64 head[3];
      if (!read(file, head, sizeof head)) return 2;
      r.at[i] = head[0], r.bytes[i] = head[1], r.result[i] = head[2];
      r.data[i] = read_new(file, r.bytes[i]);
    }
    Caller each[MOST];
    pthread_t threads[MOST];
    for (int c = 0; c < callers; c++) {
      each[c] = {&r, 0};
      if (pthread_create(&threads[c], nullptr, call, &each[c])) abort();
    }
    for (int c = 0; c < callers; c++) pthread_join(threads[c], nullptr);
    for (int c = 1; c < callers; c++)
      if (each[c].sum != each[0].sum) return fprintf(stderr, "call %d: bits differ\n", done), 1;
    for (u64 i = 0; i < r.regions; i++) free(r.data[i]);
    free(r.job);
  }
  printf("%d calls\n", done);
  return done == 0;
}
