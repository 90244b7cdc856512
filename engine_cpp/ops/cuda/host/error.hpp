// Failures inside the plugin: thrown here, and a status with a message on the other side of the ABI.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

#include "ops/cuda/launch.hpp"
#include "ops/cuda_plugin/abi.h"

namespace qwen3::cuda {

class PluginError : public std::runtime_error {
public:
    PluginError(Qwen3CudaStatus status, const std::string& message) : std::runtime_error(message), status_(status) {}

    Qwen3CudaStatus status() const { return status_; }

private:
    Qwen3CudaStatus status_;
};

inline void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    (void)cudaGetLastError();  // otherwise the next call reports it again
    throw PluginError(QWEN3_CUDA_DEVICE_ERROR, std::string("the GPU failed in ") + what + ": " +
                                                   cudaGetErrorString(error) +
                                                   "; start the program again, and if it recurs use --devices cpu:0");
}

inline void check(Status status, const char* what) {
    if (status) throw PluginError(QWEN3_CUDA_DEVICE_ERROR, std::string("the GPU refused ") + what + ": " + status);
}

}  // namespace qwen3::cuda
