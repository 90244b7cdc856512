// What the CUDA runtime hands out, each with an owner.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>

#include "ops/cuda/host/error.hpp"

namespace qwen3::cuda {

struct FreeDevice {
    void operator()(void* memory) const { (void)cudaFree(memory); }
};
struct FreeHost {
    void operator()(void* memory) const { (void)cudaFreeHost(memory); }
};
struct DestroyStream {
    void operator()(cudaStream_t stream) const { (void)cudaStreamDestroy(stream); }
};
struct DestroyEvent {
    void operator()(cudaEvent_t event) const { (void)cudaEventDestroy(event); }
};
struct DestroyGraph {
    void operator()(cudaGraph_t graph) const { (void)cudaGraphDestroy(graph); }
};
struct DestroyGraphExec {
    void operator()(cudaGraphExec_t graph) const { (void)cudaGraphExecDestroy(graph); }
};

template <class Handle, class Destroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy>;

using OwnedStream = Owned<cudaStream_t, DestroyStream>;
using Event = Owned<cudaEvent_t, DestroyEvent>;
using Graph = Owned<cudaGraph_t, DestroyGraph>;
using GraphExec = Owned<cudaGraphExec_t, DestroyGraphExec>;

// A block that only grows. What it held is not kept.
template <class Free>
class Block {
public:
    std::byte* data() const { return static_cast<std::byte*>(data_.get()); }
    size_t bytes() const { return bytes_; }

    // True when it had to grow: addresses have changed. Throws PluginError, the block then empty.
    bool reserve(size_t bytes, const char* what);

private:
    std::unique_ptr<void, Free> data_;
    size_t bytes_ = 0;
};

using DeviceBlock = Block<FreeDevice>;
using PinnedBlock = Block<FreeHost>;  // page-locked: the GPU copies it by itself

// Memory of the current device, or page-locked memory of the host. Throw PluginError with what is free.
void* allocate_device(size_t bytes, const char* what);
void* allocate_pinned(size_t bytes, const char* what);

template <>
inline bool DeviceBlock::reserve(size_t bytes, const char* what) {
    if (bytes <= bytes_) return false;
    data_.reset();
    bytes_ = 0;
    data_.reset(allocate_device(bytes, what));
    bytes_ = bytes;
    return true;
}

template <>
inline bool PinnedBlock::reserve(size_t bytes, const char* what) {
    if (bytes <= bytes_) return false;
    data_.reset();
    bytes_ = 0;
    data_.reset(allocate_pinned(bytes, what));
    bytes_ = bytes;
    return true;
}

// Of the current device.
OwnedStream new_stream();
Event new_event();

}  // namespace qwen3::cuda
