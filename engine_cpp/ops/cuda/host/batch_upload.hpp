// A step's batch, packed in page-locked memory and copied to the device at once. Its arrays keep their addresses as
// long as the capacity does, so that a captured graph finds the next batch where it found the last.
#pragma once

#include "ops/cuda/host/runtime.hpp"
#include "ops/cuda/types.hpp"

namespace qwen3::cuda {

struct BatchCapacity {
    int64_t rows = 0;
    int64_t sequences = 0;
    int64_t logit_rows = 0;
    int64_t copies = 0;
    int64_t pages = 0;  // of all sequences together

    static BatchCapacity of(const Qwen3CudaBatch& batch);
    bool holds(const BatchCapacity& other) const;
};

class BatchUpload {
public:
    // True when addresses have changed. Throws PluginError.
    bool reserve(const BatchCapacity& capacity, int64_t head_dim);

    // Queues the copy; the page-locked memory is in use until the stream has passed it.
    void send(const Qwen3CudaBatch& batch, cudaStream_t stream);

    DeviceBatch device() const;
    size_t bytes() const { return block_.bytes(); }

private:
    BatchCapacity capacity_;
    int64_t half_ = 0;  // of a head
    // Where each array begins, bytes; the page tables come last, as only what is used of them is copied.
    size_t counts_ = 0, tokens_ = 0, positions_ = 0, row_sequence_ = 0, sequences_ = 0, logit_rows_ = 0, copies_ = 0,
           cos_ = 0, sin_ = 0, pages_ = 0;
    DeviceBlock block_;
    PinnedBlock host_;
};

}  // namespace qwen3::cuda
