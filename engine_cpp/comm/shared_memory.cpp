#include "comm/shared_memory.hpp"

#include <algorithm>

#include "qwen3/error.hpp"
#include "qwen3/range.hpp"

namespace qwen3 {

class SharedMemoryCommunicator final : public Communicator {
public:
    SharedMemoryCommunicator(SharedGroup& group, int64_t rank) : group_(group), rank_(rank) {}

    int64_t rank() const override { return rank_; }
    int64_t size() const override { return group_.size_; }
    void barrier() override { group_.arrive(); }
    bool stopped() const override { return group_.aborted_.load(std::memory_order_acquire); }

    void all_reduce_sum(std::span<float> values) override {
        if (group_.size_ == 1) return;
        group_.buffers_[static_cast<size_t>(rank_)] = values.data();
        group_.arrive();
        // Each rank adds one slice over all buffers and writes it back to all: nobody else touches that slice.
        const Range mine = split(static_cast<int64_t>(values.size()), 16, rank_, group_.size_);
        constexpr int64_t kBlock = 1024;  // of partial sums that stay in L1
        float sum[kBlock];
        for (int64_t begin = mine.begin; begin < mine.end; begin += kBlock) {
            const int64_t n = std::min(kBlock, mine.end - begin);
            const float* first = group_.buffers_[0] + begin;
            for (int64_t i = 0; i < n; ++i) sum[i] = first[i];
            for (size_t r = 1; r < group_.buffers_.size(); ++r) {
                const float* other = group_.buffers_[r] + begin;
                for (int64_t i = 0; i < n; ++i) sum[i] += other[i];
            }
            for (float* buffer : group_.buffers_)
                for (int64_t i = 0; i < n; ++i) buffer[begin + i] = sum[i];
        }
        group_.arrive();
    }

private:
    SharedGroup& group_;
    const int64_t rank_;
};

SharedGroup::SharedGroup(int64_t size, SpinPolicy policy)
    : size_(size), policy_(policy), buffers_(static_cast<size_t>(size), nullptr) {}

std::unique_ptr<Communicator> SharedGroup::communicator(int64_t rank) {
    return std::make_unique<SharedMemoryCommunicator>(*this, rank);
}

void SharedGroup::arrive() {
    // The generation is read before the flag: an abort in between then changes what we wait for.
    const uint32_t generation = generation_.load(std::memory_order_acquire);
    if (aborted_.load(std::memory_order_acquire)) throw Cancelled("another device failed during this step");
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
        arrived_.store(0, std::memory_order_relaxed);
        generation_.fetch_add(1, std::memory_order_acq_rel);
        generation_.notify_all();
    } else {
        wait_while_equal(generation_, generation, policy_);
    }
    if (aborted_.load(std::memory_order_acquire)) throw Cancelled("another device failed during this step");
}

void SharedGroup::abort() {
    aborted_.store(true, std::memory_order_release);
    generation_.fetch_add(1, std::memory_order_acq_rel);
    generation_.notify_all();
}

void SharedGroup::reset() {
    arrived_.store(0, std::memory_order_relaxed);
    aborted_.store(false, std::memory_order_release);
}

}  // namespace qwen3
