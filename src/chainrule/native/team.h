// A team of threads for one call: it claims pieces of work until there are none. Who takes a piece
// never changes its result, so the bits don't depend on the number of threads. The team ends with
// the call, so nothing is left behind that a fork could break or an idle program would pay for.
#pragma once
#include "plain.h"
#include "system.h"

constexpr int MOST_THREADS = 64;

struct Team {
  // The turn in the upper half, the pieces not yet claimed in the lower. A claim takes one off, and
  // holds its turn open: what the turn's work is cannot change before the piece is done.
  u64 ticket = 0;
  i64 done = 0, ending = 0;
  void (*work)(void *, i64) = nullptr;
  void *of = nullptr;
  int others = 0;

  static void pause(int &spins) {
    if (++spins < 300) {  // some microseconds; then let others have the core
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
      return;
    }
#ifdef _WIN32
    SwitchToThread();
#else
    sched_yield();
#endif
  }

  // Take pieces while there are any.
  void take() {
    u64 seen = __atomic_load_n(&ticket, __ATOMIC_ACQUIRE);
    while (u32(seen)) {
      if (!__atomic_compare_exchange_n(&ticket, &seen, seen - 1, true, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE))
        continue;
      work(of, i64(u32(seen)) - 1);
      __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
      seen = __atomic_load_n(&ticket, __ATOMIC_ACQUIRE);
    }
  }

  // Do f(0) … f(count − 1), in any order, by whoever is free.
  template <class F> void each(i64 count, const F &f) {
    if (others == 0 || count == 1) {
      for (i64 i = 0; i < count; i++) f(i);
      return;
    }
    work = [](void *data, i64 i) { (*(const F *)data)(i); };
    of = (void *)&f;
    done = 0;
    const u64 turn = (ticket >> 32) + 1;
    __atomic_store_n(&ticket, turn << 32 | u64(count), __ATOMIC_RELEASE);
    take();
    for (int spins = 0; __atomic_load_n(&done, __ATOMIC_ACQUIRE) < count;) pause(spins);
  }

  void serve() {
    for (int spins = 0; !__atomic_load_n(&ending, __ATOMIC_ACQUIRE);) {
      if (u32(__atomic_load_n(&ticket, __ATOMIC_ACQUIRE))) take(), spins = 0;
      pause(spins);
    }
  }

#ifdef _WIN32
  HANDLE threads[MOST_THREADS];
  static DWORD WINAPI begin(void *team) { return ((Team *)team)->serve(), 0; }
  bool start(int i) { return (threads[i] = CreateThread(nullptr, 0, begin, this, 0, nullptr)); }
  void join(int i) { WaitForSingleObject(threads[i], INFINITE), CloseHandle(threads[i]); }
#else
  pthread_t threads[MOST_THREADS];
  static void *begin(void *team) { return ((Team *)team)->serve(), nullptr; }
  bool start(int i) { return pthread_create(&threads[i], nullptr, begin, this) == 0; }
  void join(int i) { pthread_join(threads[i], nullptr); }
#endif

  // Begin with `size` threads, this one among them; fewer where the system gives no more.
  explicit Team(i64 size) {
    const i64 wanted = size < MOST_THREADS ? size : MOST_THREADS;
    while (others < wanted - 1 && start(others)) others++;
  }
  ~Team() {
    __atomic_store_n(&ending, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < others; i++) join(i);
  }
};
