#include "ops/cuda/host/runtime.hpp"

#include <string>

namespace qwen3::cuda {
namespace {

std::string mib(size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

void* allocate_device(size_t bytes, const char* what) {
    void* memory = nullptr;
    const cudaError_t error = cudaMalloc(&memory, bytes == 0 ? 1 : bytes);
    if (error == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        size_t free = 0;
        size_t total = 0;
        (void)cudaMemGetInfo(&free, &total);
        throw PluginError(QWEN3_CUDA_OUT_OF_MEMORY,
                          "the GPU has no room for " + mib(bytes) + " of " + what + ": " + mib(free) + " of " +
                              mib(total) + " are free; lower --context, name more GPUs or use a CPU (--devices cpu:0)");
    }
    check(error, "cudaMalloc");
    return memory;
}

void* allocate_pinned(size_t bytes, const char* what) {
    void* memory = nullptr;
    const cudaError_t error = cudaMallocHost(&memory, bytes == 0 ? 1 : bytes);
    if (error == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        throw PluginError(QWEN3_CUDA_OUT_OF_MEMORY, "the host has no room for " + mib(bytes) + " of page-locked " +
                                                        what + "; close other programs");
    }
    check(error, "cudaMallocHost");
    return memory;
}

OwnedStream new_stream() {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    return OwnedStream(stream);
}

Event new_event() {
    cudaEvent_t event = nullptr;
    check(cudaEventCreate(&event), "cudaEventCreate");
    return Event(event);
}

}  // namespace qwen3::cuda
