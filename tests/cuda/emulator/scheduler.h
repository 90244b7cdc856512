// Runs a grid: block after block, each until its last thread has returned.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <span>
#include <utility>

#include "block.h"

namespace emu {

// From a fiber back to the scheduler, until it is resumed.
EMU_UNSEEN inline void yield() {
    Worker& w = worker();
    Fiber& self = *w.current;
    leave(self.stack, w.host_stack);
    switch_context(self.context, w.host);
    entered(self.stack);
}

inline void wait_for(const uint64_t& generation, const char* operation) {
    Fiber& self = *worker().current;
    self.state = Fiber::State::waiting;
    self.generation = &generation;
    self.old = generation;
    self.waits_in = operation;
    yield();
}

inline void open_barrier(Block& block) {
    block.at_barrier = 0;
    block.barrier_file = nullptr;
    ++block.barrier_generation;
}

inline void fiber_main() {
    Worker& w = worker();
    entered_first(w.host_stack);
    for (;;) {
        acquire(&w.block.begin);
        w.kernel(w.arguments);
        release(&w.block.end);
        {
            Quiet quiet;
            Fiber& self = *w.current;
            self.uncommitted.clear();
            self.groups.clear();
            self.state = Fiber::State::done;
            --w.block.alive;
            // A thread that has returned counts as arrived.
            if (w.block.alive > 0 && w.block.at_barrier == w.block.alive) open_barrier(w.block);
        }
        yield();
    }
}

inline Fiber::Fiber() {
    void* memory =
        mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    stack = {.bottom = memory, .size = kStackBytes, .asan_fake = nullptr, .tsan_fiber = create_race_fiber()};
    make_context(context, static_cast<char*>(memory), kStackBytes, fiber_main);
}

inline Fiber::~Fiber() {
    destroy_race_fiber(stack.tsan_fiber);
    munmap(const_cast<void*>(stack.bottom), stack.size);
}

inline void resume(Worker& w, Fiber& fiber) {
    w.current = &fiber;
    leave(w.host_stack, fiber.stack);
    switch_context(w.host, fiber.context);
    entered(w.host_stack);
    w.current = nullptr;
}

inline void begin_block(Worker& w, size_t dynamic_bytes) {
    Block& block = w.block;
    block.alive = block.threads;
    block.at_barrier = 0;
    block.barrier_file = nullptr;
    if (dynamic_bytes > 0) block.dynamic = Guarded::make(dynamic_bytes, true);
    block.warps.resize((block.threads + 31) / 32);
    for (auto& meetings : block.warps) {
        meetings.clear();
        meetings.reserve(kMostMasks);  // lanes that wait keep the address of theirs
    }
    block.crew = &w.crews[w.blocks_run++ % kCrews];
    while (block.crew->size() < block.threads) block.crew->emplace_back();
    for (unsigned i = 0; i < block.threads; ++i) {
        Fiber& fiber = (*block.crew)[i];
        fiber.lane = i % 32;
        fiber.warp = i / 32;
        fiber.thread = {i % block.block.x, i / block.block.x % block.block.y, i / (block.block.x * block.block.y)};
        fiber.state = Fiber::State::ready;
    }
    release(&block.begin);
}

inline void end_block(Worker& w) {
    Block& block = w.block;
    size_t bytes = block.dynamic.bytes;
    bool intact = !block.dynamic.data || block.dynamic.intact();
    for (auto& [name, memory] : block.shared) {
        bytes += memory.bytes;
        intact = intact && memory.intact();
    }
    if (!intact) fail("something was written behind the end of shared memory");
    if (bytes > kMostShared) fail("%zu bytes of shared memory; a block has %zu", bytes, kMostShared);
    for (auto& [name, memory] : block.shared) memory.free(false);
    block.shared.clear();
    if (block.dynamic.data) block.dynamic.free(true);
    block.dynamic = {};
}

// Lets each of these threads run until it waits or has returned; whether any of them ran.
inline bool run_threads(Worker& w, std::span<const unsigned> threads) {
    bool progress = false;
    for (unsigned i : threads) {
        Fiber& fiber = (*w.block.crew)[i];
        if (fiber.state == Fiber::State::waiting && *fiber.generation != fiber.old) fiber.state = Fiber::State::ready;
        if (fiber.state != Fiber::State::ready) continue;
        resume(w, fiber);
        progress = true;
    }
    return progress;
}

// A warp runs as far ahead of the others as it can, since on a device it may. In random order it may also stop anywhere
// on the way, and its lanes take turns.
inline void run_block(Worker& w, size_t dynamic_bytes, std::mt19937& random) {
    begin_block(w, dynamic_bytes);
    Block& block = w.block;
    std::vector<std::vector<unsigned>> warps((block.threads + 31) / 32);
    for (unsigned i = 0; i < block.threads; ++i) warps[i / 32].push_back(i);
    if (config.order == Order::reverse) {
        std::reverse(warps.begin(), warps.end());
        for (auto& lanes : warps) std::reverse(lanes.begin(), lanes.end());
    }
    while (block.alive > 0) {
        bool progress = false;
        if (config.order == Order::random) std::shuffle(warps.begin(), warps.end(), random);
        for (auto& lanes : warps) {
            do {
                if (config.order == Order::random) std::shuffle(lanes.begin(), lanes.end(), random);
                if (!run_threads(w, lanes)) break;
                progress = true;
            } while (config.order != Order::random || random() % 4 != 0);
        }
        if (progress) continue;
        for (auto& lanes : warps)
            for (unsigned i : lanes) {
                Fiber& fiber = (*block.crew)[i];
                if (fiber.state != Fiber::State::waiting) continue;
                w.current = &fiber;
                fail("deadlock: a thread waits in %s that others never reach", fiber.waits_in);
            }
    }
    end_block(w);
}

inline thread_local uint64_t launches = 0;  // of this host thread, so far

// nullptr, or why such a grid cannot be launched.
inline const char* run_grid(dim3 grid, dim3 block, size_t dynamic_bytes, void (*kernel)(void*), void* arguments) {
    constexpr unsigned kMostYZ = 65535;
    const unsigned threads = block.x * block.y * block.z;
    if (threads == 0 || threads > kMostThreads || block.z > 64) return "emulator: a block of that size is invalid";
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return "emulator: an empty grid is invalid";
    if (grid.y > kMostYZ || grid.z > kMostYZ) return "emulator: a grid has at most 65535 blocks in y and z";
    if (dynamic_bytes > kMostShared) return "emulator: too much dynamic shared memory";

    ++launches;
    static thread_local Worker mine;
    this_worker = &mine;
    Worker& w = mine;
    {
        Quiet quiet;
        std::mt19937 random(config.seed);
        w.kernel = kernel;
        w.arguments = arguments;
        w.block.grid = grid;
        w.block.block = block;
        w.block.threads = threads;
        w.host_stack.tsan_fiber = current_race_fiber();
        std::vector<unsigned> order(static_cast<size_t>(grid.x) * grid.y * grid.z);
        std::iota(order.begin(), order.end(), 0U);
        if (config.order == Order::reverse) std::reverse(order.begin(), order.end());
        if (config.order == Order::random) std::shuffle(order.begin(), order.end(), random);
        for (unsigned i : order) {
            w.block.index = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
            run_block(w, dynamic_bytes, random);
        }
    }
    acquire(&w.block.end);  // only here: blocks of one grid are not ordered among each other
    return nullptr;
}

}  // namespace emu
