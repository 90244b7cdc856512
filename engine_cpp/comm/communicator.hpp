// How the devices of a tensor-parallel group add up their partial sums.
#pragma once

#include <cstdint>
#include <span>

namespace qwen3 {

class Communicator {
public:
    virtual ~Communicator() = default;

    virtual int64_t rank() const = 0;
    virtual int64_t size() const = 0;

    // Every rank's values become the sum over ranks, added in rank order: the same bits on every rank.
    // Throws Cancelled when another rank has failed.
    virtual void all_reduce_sum(std::span<float> values) = 0;
    virtual void barrier() = 0;
    // Another rank has failed: do not wait for it.
    virtual bool stopped() const = 0;
};

}  // namespace qwen3
