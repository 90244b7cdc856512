#include "ops/cuda/host/nccl.hpp"

#include <cstring>

#include "ops/cuda/host/dynamic_library.hpp"
#include "ops/cuda/host/error.hpp"

namespace qwen3::cuda {
namespace {

const nccl::Functions& functions() {
    static const nccl::Functions found = [] {
        const DynamicLibrary library("NCCL, by which several GPUs share a model,", "libnccl.so.2", "nvidia/nccl/lib");
        nccl::Functions f{};
        library.find(f.GetErrorString, "ncclGetErrorString");
        library.find(f.GetUniqueId, "ncclGetUniqueId");
        library.find(f.CommInitRank, "ncclCommInitRank");
        library.find(f.CommDestroy, "ncclCommDestroy");
        library.find(f.CommAbort, "ncclCommAbort");
        library.find(f.AllReduce, "ncclAllReduce");
        return f;
    }();
    return found;
}

void check_nccl(int status, const char* what) {
    if (status == nccl::kSuccess) return;
    throw PluginError(QWEN3_CUDA_DEVICE_ERROR, std::string("NCCL failed in ") + what + ": " +
                                                   functions().GetErrorString(status) +
                                                   "; use one GPU, or set NCCL_DEBUG=WARN to see more");
}

}  // namespace

Qwen3CudaGroupId NcclRank::new_group() {
    nccl::UniqueId id{};
    check_nccl(functions().GetUniqueId(&id), "ncclGetUniqueId");
    Qwen3CudaGroupId out{};
    static_assert(sizeof(out) == sizeof(id));
    std::memcpy(&out, &id, sizeof(id));
    return out;
}

NcclRank::NcclRank(const Qwen3CudaGroupId& group, int rank, int size) {
    nccl::UniqueId id{};
    std::memcpy(&id, &group, sizeof(id));
    check_nccl(functions().CommInitRank(&comm_, size, id, rank), "ncclCommInitRank");
}

NcclRank::~NcclRank() {
    if (comm_) functions().CommDestroy(comm_);
}

void NcclRank::all_reduce_sum(float* values, size_t count, cudaStream_t stream) const {
    check_nccl(functions().AllReduce(values, values, count, nccl::kFloat32, nccl::kSum, comm_, stream),
               "ncclAllReduce");
}

void NcclRank::abort() {
    if (comm_) functions().CommAbort(comm_);
    comm_ = nullptr;
}

}  // namespace qwen3::cuda
