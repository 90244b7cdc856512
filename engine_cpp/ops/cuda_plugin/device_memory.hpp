// Memory of a GPU, given back when its owner is gone.
#pragma once

#include <cstddef>

#include "ops/cuda_plugin/plugin.hpp"
#include "ops/ops.hpp"

namespace qwen3::cuda_plugin {

class DeviceMemory {
public:
    // Throws OutOfMemory, saying what it was for.
    DeviceMemory(const Plugin& plugin, Qwen3CudaDevice* device, size_t bytes, const char* what)
        : plugin_(plugin), device_(device), bytes_(bytes) {
        plugin.check(plugin->alloc(device, bytes, what, &data_));
    }
    ~DeviceMemory() { plugin_->release(device_, data_); }
    DeviceMemory(const DeviceMemory&) = delete;
    DeviceMemory& operator=(const DeviceMemory&) = delete;

    Qwen3CudaMemory data() const { return data_; }
    size_t bytes() const { return bytes_; }

private:
    const Plugin& plugin_;
    Qwen3CudaDevice* device_;
    size_t bytes_;
    Qwen3CudaMemory data_ = nullptr;
};

// Each of the forms in which the engine holds it.
class CudaBuffer final : public Buffer, public DeviceMemory {
public:
    using DeviceMemory::DeviceMemory;
    size_t bytes() const override { return DeviceMemory::bytes(); }
};

class CudaMatrix final : public Matrix, public DeviceMemory {
public:
    using DeviceMemory::DeviceMemory;
    size_t bytes() const override { return DeviceMemory::bytes(); }
};

class CudaVector final : public Vector, public DeviceMemory {
public:
    using DeviceMemory::DeviceMemory;
};

class CudaKvPages final : public KvPages, public DeviceMemory {
public:
    CudaKvPages(const Plugin& plugin, Qwen3CudaDevice* device, size_t bytes, const char* what)
        : DeviceMemory(plugin, device, bytes, what), page_bytes_(static_cast<size_t>(plugin->page_bytes(device))) {}
    size_t page_bytes() const override { return page_bytes_; }

private:
    size_t page_bytes_;
};

}  // namespace qwen3::cuda_plugin
