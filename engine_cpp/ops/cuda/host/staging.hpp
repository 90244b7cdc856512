// Page-locked memory through which weights are uploaded: two buffers, one being filled while the other is copied.
#pragma once

#include <array>

#include "ops/cuda/host/runtime.hpp"

namespace qwen3::cuda {

class Staging {
public:
    struct Buffer {
        void* data;
        size_t bytes;
    };

    // One that no copy uses any more.
    Buffer next() {
        index_ = 1 - index_;
        Slot& slot = slots_[index_];
        slot.block.reserve(kBytes, "staging memory");
        if (slot.copied)
            check(cudaEventSynchronize(slot.copied.get()), "an upload");
        else
            slot.copied = new_event();
        return {slot.block.data(), slot.block.bytes()};
    }

    // Queues a copy of the first bytes of the buffer that next() gave last.
    void send(void* to, size_t bytes, cudaStream_t stream) {
        const Slot& slot = slots_[index_];
        check(cudaMemcpyAsync(to, slot.block.data(), bytes, cudaMemcpyHostToDevice, stream), "an upload");
        check(cudaEventRecord(slot.copied.get(), stream), "an upload");
    }

private:
    static constexpr size_t kBytes = size_t{16} << 20;

    struct Slot {
        PinnedBlock block;
        Event copied;
    };
    std::array<Slot, 2> slots_;
    size_t index_ = 0;
};

}  // namespace qwen3::cuda
