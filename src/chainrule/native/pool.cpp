// The pool's threads: who is asleep, who watches which board, and what a forked child makes of it.
#include "pool.h"
#include "system.h"

namespace {

struct Worker {
  Board board = {};       // for the call that borrows this one first
  Board *call = nullptr;  // the board to watch; null between calls
  Lock lock = NEW_LOCK;   // of a call to come, and of the sleep that it ends
  Bell bell = NEW_BELL;
  Thread thread = {};
  Places home = {};       // where it may run
  bool sent = false;      // to some of these only
};

Worker workers[MOST_HELPERS];
int started = 0;
Lock guard = NEW_LOCK;  // of `started`, and of who is whose
i64 besides = -1;       // processors that the machine has besides one; not yet known

// Watch for the next call, asleep.
void sleep(Worker &me) {
  acquire(me.lock);
  while (!__atomic_load_n(&me.call, __ATOMIC_RELAXED)) wait(me.bell, me.lock);
  release(me.lock);
}

// Be free again to run anywhere.
void settle(Worker &me) {
  acquire(me.lock);
  allow(me.home);
  __atomic_store_n(&me.sent, false, __ATOMIC_RELAXED);
  release(me.lock);
}

THREAD serve(void *self) {
  Worker &me = *(Worker *)self;
  for (int spins = 0;; pause(spins)) {
    Board *board = __atomic_load_n(&me.call, __ATOMIC_ACQUIRE);
    if (board && take(*board)) spins = 0;
    if (__atomic_load_n(&me.sent, __ATOMIC_RELAXED)) settle(me);
    if (!board && spins == LONG_WAIT) sleep(me), spins = 0;
  }
}

// A forked child has no threads but its own, and locks in whatever state they were.
void forget() {
  for (Worker &worker : workers) worker = Worker();
  started = 0, guard = NEW_LOCK;
}

bool start_another() {
  if (!start(workers[started].thread, serve, &workers[started])) return false;
  started++;
  return true;
}

void summon(Worker &worker, Board *board) {
  acquire(worker.lock);
  if (send_elsewhere(worker.thread, worker.home))
    __atomic_store_n(&worker.sent, true, __ATOMIC_RELAXED);
  __atomic_store_n(&worker.call, board, __ATOMIC_RELEASE);
  release(worker.lock);
  ring(worker.bell);
}

}  // namespace

// As many threads as one call wants, or the machine has processors besides the caller's, serve all
// the calls that run at a time: more would only stand in each other's way.
Board *borrow(i64 wanted) {
  Board *board = nullptr;
  acquire(guard);
  if (besides < 0) besides = processors() - 1, after_fork(forget);
  const i64 enough = wanted > besides ? wanted : besides;
  const int most = enough < MOST_HELPERS ? int(enough) : MOST_HELPERS;
  for (int i = 0; i < most && wanted > 0; i++) {
    if (i == started && !start_another()) break;
    if (workers[i].call) continue;
    if (!board) board = &workers[i].board;
    summon(workers[i], board);
    wanted--;
  }
  release(guard);
  return board;
}

// The threads go when they notice; nobody waits for it.
void give_back(Board *board) {
  acquire(guard);
  for (int i = 0; i < started; i++)
    if (workers[i].call == board)
      __atomic_store_n(&workers[i].call, (Board *)nullptr, __ATOMIC_RELAXED);
  release(guard);
}
