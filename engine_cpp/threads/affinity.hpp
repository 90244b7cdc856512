// Which processors a thread may run on.
#pragma once

#include <vector>

namespace qwen3 {

using CpuList = std::vector<int>;  // the kernel's numbers, ascending

// Those that the calling thread may use; at least one.
CpuList allowed_cpus();

// Keeps the calling thread, and those that it starts, to these processors; an empty list changes nothing. Where the
// system forbids it the thread runs on as before: only speed is at stake.
void keep_to(const CpuList& cpus);

}  // namespace qwen3
