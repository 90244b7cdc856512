// Sums over the GPUs of a group, in their streams. NCCL takes the shortest way itself: NVLink or peer-to-peer over PCIe
// where there is one, the host's memory otherwise.
#pragma once

#include "ops/cuda/host/nccl_abi.hpp"
#include "ops/cuda_plugin/abi.h"

namespace qwen3::cuda {

class NcclRank {
public:
    // A new name for a group to meet under. Throws PluginError where there is no NCCL.
    static Qwen3CudaGroupId new_group();

    // On the current device; returns once all ranks have come.
    NcclRank(const Qwen3CudaGroupId& id, int rank, int size);
    ~NcclRank();
    NcclRank(const NcclRank&) = delete;
    NcclRank& operator=(const NcclRank&) = delete;

    void all_reduce_sum(float* values, size_t count, cudaStream_t stream) const;
    void abort();  // ends what the stream waits for; the rank is of no use afterwards
    bool aborted() const { return !comm_; }

private:
    nccl::Comm comm_ = nullptr;
};

}  // namespace qwen3::cuda
