// A team: this thread and those of the pool that are idle, for one call. Pieces of work are claimed,
// not dealt out, so one that loses its core holds up only the piece it has. Who takes a piece never
// changes its result, so the bits don't depend on the number of threads.
#pragma once
#include "pool.h"
#include "system.h"

struct Team {
  Board *board;  // null: this thread is alone

  // Begin with up to `size` threads, this one among them.
  explicit Team(i64 size) : board(size > 1 ? borrow(size - 1) : nullptr) {}
  ~Team() {
    if (board) give_back(board);
  }
  Team(const Team &) = delete;

  // Do f(0) … f(count − 1), in any order, by whoever is free.
  template <class F> void each(i64 count, const F &f) {
    if (!board || count < 2) {
      for (i64 i = 0; i < count; i++) f(i);
      return;
    }
    const u64 others = u64(count) - 1;  // than the piece that is this thread's own
    board->work = [](void *data, i64 i) { (*(const F *)data)(i); };
    board->of = (void *)&f;
    board->done = 0;
    __atomic_store_n(&board->left, others, __ATOMIC_RELEASE);
    board->work(board->of, i64(others));
    take(*board);
    for (int spins = 0; __atomic_load_n(&board->done, __ATOMIC_ACQUIRE) < others;) pause(spins);
  }
};
