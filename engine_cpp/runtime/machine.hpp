// What this process may use of the machine.
#pragma once

#include <cstdint>
#include <string>

namespace qwen3 {

int usable_cores();  // affinity mask and cgroup quota respected, at least 1

// Bytes that can be had without swapping, cgroup limit respected. root: where /proc and /sys begin.
int64_t available_memory(const std::string& root = "");

}  // namespace qwen3
