// The CUDA plugin as the core sees it: found beside the core itself, and not needed where no GPU is used.
#pragma once

#include <cstdint>
#include <string>

#include "ops/cuda_plugin/abi.h"

namespace qwen3::cuda_plugin {

class Plugin {
public:
    // Loads the library from the folder that the core lies in. Throws DeviceError, naming the remedy.
    explicit Plugin(const std::string& file);

    int device_count() const;           // at least 1; throws DeviceError saying why there is none
    Qwen3CudaGroupId group_id() const;  // a new name for a group of devices to meet under

    const Qwen3CudaApi* operator->() const { return api_; }

    // Throws what a status stands for, with the plugin's message: ConfigError, DeviceError, OutOfMemory, Cancelled.
    void check(int32_t status) const {
        if (status != QWEN3_CUDA_OK) fail(status);
    }

private:
    [[noreturn]] void fail(int32_t status) const;

    const Qwen3CudaApi* api_ = nullptr;  // lives as long as the process: a library with threads is never unloaded
};

}  // namespace qwen3::cuda_plugin
