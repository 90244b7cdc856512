// Copy-on-write of KV pages: all layers and heads of a page at once.
#pragma once

#include "ops/cuda/kernels/pages.cuh"

namespace qwen3::cuda {

// Any grid: blockIdx.y counts copies, blockIdx.x shares a page.
__global__ void copy_pages_kernel(DeviceBatch batch, KvPages kv) {
    const int64_t units = kv.page_bytes() / static_cast<int64_t>(sizeof(uint4));
    const int copies = batch.counts->copies;
    for (int c = static_cast<int>(blockIdx.y); c < copies; c += static_cast<int>(gridDim.y)) {
        const DevicePageCopy copy = batch.copies[c];
        const auto* from = reinterpret_cast<const uint4*>(kv.data + copy.from * kv.page_bytes());
        auto* to = reinterpret_cast<uint4*>(kv.data + copy.to * kv.page_bytes());
        for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < units;
             i += static_cast<int64_t>(gridDim.x) * blockDim.x)
            to[i] = from[i];
    }
}

}  // namespace qwen3::cuda
