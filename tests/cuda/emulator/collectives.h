// Where threads meet: the barrier of a block, the operations of a warp, atomics.
#pragma once

#include <atomic>
#include <source_location>
#include <type_traits>

#include "scheduler.h"

namespace emu {

inline void barrier(const std::source_location& where) {
    Quiet quiet;
    Block& block = worker().block;
    release(&block.barrier_generation);
    if (block.at_barrier == 0) {
        block.barrier_file = where.file_name();
        block.barrier_line = where.line();
    } else if (block.barrier_line != where.line() || std::strcmp(block.barrier_file, where.file_name()) != 0) {
        fail("divergent __syncthreads: threads of a block wait in lines %u and %u", block.barrier_line, where.line());
    }
    if (++block.at_barrier == block.alive)
        open_barrier(block);
    else
        wait_for(block.barrier_generation, "__syncthreads");
    acquire(&block.barrier_generation);
}

// Meets the lanes of the mask, with up to 32 bytes; returns what every lane brought. Only `fence` orders memory. The
// caller is quiet.
inline const uint64_t (*meet(uint32_t mask, const char* operation, const void* value, size_t bytes,
                             bool fence = false))[4] {
    Worker& w = worker();
    const Fiber& self = *w.current;
    const unsigned in_warp = std::min(w.block.threads - self.warp * 32, 32U);
    const uint32_t existing = in_warp == 32 ? ~0U : (1U << in_warp) - 1;
    if (!(mask >> self.lane & 1)) fail("%s: the calling lane is not in mask %08x", operation, mask);
    if (mask == ~0U) mask = existing;
    if (mask & ~existing) fail("%s: mask %08x names lanes that do not exist", operation, mask);

    auto& meetings = w.block.warps[self.warp];
    auto found = std::find_if(meetings.begin(), meetings.end(), [&](const Meeting& m) { return m.mask == mask; });
    if (found == meetings.end()) {
        if (meetings.size() == kMostMasks) fail("%s: more than %zu masks in a warp", operation, kMostMasks);
        found = meetings.insert(meetings.end(), Meeting{});
        found->mask = mask;
    }
    Meeting& meeting = *found;
    if (meeting.arrived == 0)
        meeting.operation = operation;
    else if (std::strcmp(meeting.operation, operation) != 0)
        fail("warp divergence: lanes meet in %s and %s", meeting.operation, operation);

    auto* values = meeting.values[meeting.generation & 1];
    std::memset(values[self.lane], 0, sizeof values[self.lane]);
    std::memcpy(values[self.lane], value, bytes);
    meeting.arrived |= 1U << self.lane;
    if (fence) release(&meeting.generation);
    if (meeting.arrived == mask) {
        meeting.arrived = 0;
        ++meeting.generation;
    } else {
        wait_for(meeting.generation, operation);
    }
    if (fence) acquire(&meeting.generation);
    return values;
}

template <class T>
T shuffle(uint32_t mask, T value, unsigned source, const char* operation) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
    Quiet quiet;
    const auto* values = meet(mask, operation, &value, sizeof value);
    if (source > 31 || !(mask >> source & 1)) fail("%s: lane %u is outside of mask %08x", operation, source, mask);
    T result;
    std::memcpy(&result, values[source], sizeof result);
    return result;
}

}  // namespace emu

inline void __syncthreads(const std::source_location& where = std::source_location::current()) { emu::barrier(where); }

inline void __syncwarp(unsigned mask = ~0U) {
    emu::Quiet quiet;
    const char nothing = 0;
    emu::meet(mask, "__syncwarp", &nothing, sizeof nothing, true);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
    return emu::shuffle(mask, value, emu::this_lane() ^ static_cast<unsigned>(lanes), "__shfl_xor_sync");
}
template <class T>
T __shfl_sync(unsigned mask, T value, int lane) {
    return emu::shuffle(mask, value, static_cast<unsigned>(lane) % 32, "__shfl_sync");
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes) {
    const unsigned lane = emu::this_lane();
    return emu::shuffle(mask, value, lane + lanes < 32 ? lane + lanes : lane, "__shfl_down_sync");
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes) {
    const unsigned lane = emu::this_lane();
    return emu::shuffle(mask, value, lane >= lanes ? lane - lanes : lane, "__shfl_up_sync");
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
    emu::Quiet quiet;
    const auto* values = emu::meet(mask, "__ballot_sync", &predicate, sizeof predicate);
    unsigned ballot = 0;
    for (unsigned lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1 && values[lane][0] != 0) ballot |= 1U << lane;
    return ballot;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate == 0) == 0; }

template <class T>
T atomicAdd(T* address, T value) {
    return std::atomic_ref<T>(*address).fetch_add(value, std::memory_order_relaxed);
}
