// What the operating system gives: a clock that only goes forward, threads, and what they wait with.
#pragma once
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
static inline double now() {
  LARGE_INTEGER count, frequency;
  QueryPerformanceCounter(&count);
  QueryPerformanceFrequency(&frequency);
  return double(count.QuadPart) / double(frequency.QuadPart);
}
static inline long processors() {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return long(info.dwNumberOfProcessors);
}
static inline void yield() { SwitchToThread(); }

typedef SRWLOCK Lock;
typedef CONDITION_VARIABLE Bell;  // wakes who waits for it
#define NEW_LOCK SRWLOCK_INIT
#define NEW_BELL CONDITION_VARIABLE_INIT
static inline void acquire(Lock &lock) { AcquireSRWLockExclusive(&lock); }
static inline void release(Lock &lock) { ReleaseSRWLockExclusive(&lock); }
static inline void wait(Bell &b, Lock &lock) { SleepConditionVariableSRW(&b, &lock, INFINITE, 0); }
static inline void ring(Bell &bell) { WakeConditionVariable(&bell); }

typedef HANDLE Thread;
#define THREAD static DWORD WINAPI  // what begins the function of a thread
static inline bool start(Thread &thread, LPTHREAD_START_ROUTINE run, void *with) {
  return (thread = CreateThread(nullptr, 0, run, with, 0, nullptr));
}
static inline void after_fork(void (*)()) {}  // there is no fork
#else
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
static inline double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}
static inline long processors() { return sysconf(_SC_NPROCESSORS_ONLN); }
static inline void yield() { sched_yield(); }

typedef pthread_mutex_t Lock;
typedef pthread_cond_t Bell;  // wakes who waits for it
#define NEW_LOCK PTHREAD_MUTEX_INITIALIZER
#define NEW_BELL PTHREAD_COND_INITIALIZER
static inline void acquire(Lock &lock) { pthread_mutex_lock(&lock); }
static inline void release(Lock &lock) { pthread_mutex_unlock(&lock); }
static inline void wait(Bell &bell, Lock &lock) { pthread_cond_wait(&bell, &lock); }
static inline void ring(Bell &bell) { pthread_cond_signal(&bell); }

typedef pthread_t Thread;
#define THREAD static void *  // what begins the function of a thread
static inline bool start(Thread &thread, void *(*run)(void *), void *with) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the program's own threads
  const bool started = pthread_create(&thread, nullptr, run, with) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started && pthread_detach(thread) == 0;
}
static inline void after_fork(void (*in_child)()) { pthread_atfork(nullptr, nullptr, in_child); }
#endif

// Where all processors are busy, Linux puts a thread that is woken behind the one that wakes it, and
// there it stays for milliseconds. So it is kept off this processor until it runs.
#ifdef __linux__
typedef cpu_set_t Places;
static inline bool send_elsewhere(Thread thread, Places &home) {
  const int here = sched_getcpu();
  if (here < 0 || pthread_getaffinity_np(pthread_self(), sizeof home, &home)) return false;
  Places others = home;
  CPU_CLR(here, &others);
  return CPU_COUNT(&others) && !pthread_setaffinity_np(thread, sizeof others, &others);
}
static inline void allow(Places &home) {
  pthread_setaffinity_np(pthread_self(), sizeof home, &home);
}
#else
struct Places {};
static inline bool send_elsewhere(Thread, Places &) { return false; }
static inline void allow(Places &) {}
#endif

// Wait a moment: spin for some microseconds, then let others have the core. `spins` counts.
constexpr int SPINS = 300, LONG_WAIT = 500;
static inline void pause(int &spins) {
  spins += spins < LONG_WAIT;
  if (spins > SPINS) return yield();
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}
