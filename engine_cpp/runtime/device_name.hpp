// How devices are named, and which there are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/cuda_plugin/plugin.hpp"

namespace qwen3 {

// cuda_emu: the CUDA backend on an emulated GPU, for tests.
enum class DeviceKind : uint8_t { cpu, cuda, cuda_emu };

struct DeviceName {
    std::string name;
    DeviceKind kind;
    int index;
};

// "cpu:0", "cuda:1", ... Throws DeviceError for what is no device, is named twice, or is not like the others.
std::vector<DeviceName> parse_devices(const std::vector<std::string>& names);

std::vector<std::string> gpu_names(int64_t count);

// The plugin that runs such devices, loaded once. Throws DeviceError, saying what is missing and how to get it.
const cuda_plugin::Plugin& plugin_of(DeviceKind kind);

struct GpuCount {
    int count = 0;
    std::string problem;  // why there is none
};
GpuCount count_gpus(DeviceKind kind);

}  // namespace qwen3
