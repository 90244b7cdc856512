// What this process may use of the machine. root: where /proc and /sys begin.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "threads/topology.hpp"

namespace qwen3 {

// Processors that can be busy all the time: those of the topology, or what the control groups' time is worth, rounded
// up. At least 1.
int usable_cpus(const Topology& topology, const std::string& root = "");

// Threads to start when nobody says how many: one a physical core. Processors that share a core share what both decode
// and prefill wait for. A machine of one core counts its processors: most often it is a virtual one that was dealt
// them.
int default_threads(const Topology& topology, const std::string& root = "");

// Devices to use when nobody names them: one a NUMA node, and no more than there are threads or query heads.
std::vector<std::string> default_devices(const Topology& topology, int threads, int64_t query_heads);

// Bytes that can be had without swapping, the control groups' limits respected.
int64_t available_memory(const std::string& root = "");

}  // namespace qwen3
