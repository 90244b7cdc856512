// What this process may use of the machine.
#pragma once

#include <cstdint>

namespace qwen3 {

int usable_cores();          // affinity mask and cgroup quota respected, at least 1
int64_t available_memory();  // bytes that can be had without swapping, cgroup limit respected

}  // namespace qwen3
